import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { advisoryLockKey } from '../database/advisory-lock.js';
import { queryRows } from '../database/query-rows.js';

/** Work that is done by one process at a time, of all that share the database. */
@Injectable()
export class ExclusiveTask {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Does `work`, unless it's being done somewhere: then nothing. The lock is a connection's, so it is free again when the process ends, however
   * it ends; a connection that is lost meanwhile lets another process begin, so `work` must be safe all the same.
   */
  async run(name: string, work: () => Promise<void>): Promise<void> {
    const runner = this.dataSource.createQueryRunner();
    const call = async (lock: string) => {
      const sql = `SELECT ${lock}(${advisoryLockKey('task', '$1')}) AS done`;
      const [row] = await queryRows<{ done: boolean }>(runner.manager, sql, [name]);
      return row?.done === true;
    };
    try {
      if (!(await call('pg_try_advisory_lock'))) return;
      try {
        await work();
      } finally {
        await call('pg_advisory_unlock');
      }
    } finally {
      await runner.release();
    }
  }
}
