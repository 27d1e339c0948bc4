import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { advisoryLockKey } from '../database/advisory-lock.js';
import { queryRows } from '../database/query-rows.js';

/** Work that one process does at a time, among all that share the database. */
@Injectable()
export class ExclusiveTask {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Does `work` and returns its result. Returns undefined, without doing it, while another process does it.
   *
   * The lock belongs to a connection, so it is released when the process ends. If the connection is lost,
   * another process can start the work too, so two runs at the same time must be safe.
   */
  async run<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    const runner = this.dataSource.createQueryRunner();
    const call = async (lock: string) => {
      const sql = `SELECT ${lock}(${advisoryLockKey('task', '$1')}) AS done`;
      const [row] = await queryRows<{ done: boolean }>(runner.manager, sql, [name]);
      return row?.done === true;
    };
    try {
      if (!(await call('pg_try_advisory_lock'))) return undefined;
      try {
        return await work();
      } finally {
        await call('pg_advisory_unlock');
      }
    } finally {
      await runner.release();
    }
  }
}
