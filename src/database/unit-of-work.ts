import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { ContendedError } from './errors/contended.error.js';
import { isDeadlock, isLockTimeout } from './errors/database-errors.js';
import { queryRows } from './query-rows.js';
import { WAITING_LIMITS, ConcurrencyLimiter } from './concurrency-limiter.js';

/** A running transaction. Repositories take it explicitly; nothing else may open one. */
export type Transaction = EntityManager;

const MAX_ATTEMPTS = 3;

/** Connections for checkpoints and leases of uploads, whatever waits for locks. */
const LEFT_TO_UPLOADS = 2;

/**
 * Where transactions are opened. What runs inside must not touch storage: a transaction that waits for a slow
 * disk or an object store holds its locks and its connection all the while.
 *
 * Leaves some connections to statements that wait for no lock of others. Work that is likely to wait for the
 * same lock names a `key`: it then waits in memory, and leaves a connection to others.
 */
@Injectable()
export class UnitOfWork {
  private readonly limiter: ConcurrencyLimiter;

  constructor(private readonly dataSource: DataSource) {
    const maxRunning = Math.max(1, (dataSource.options.poolSize ?? 1) - LEFT_TO_UPLOADS);
    this.limiter = new ConcurrencyLimiter({
      ...WAITING_LIMITS,
      maxRunning,
      maxRunningPerKey: Math.max(1, maxRunning - 1),
    });
  }

  /**
   * Commits when `work` settles, rolls back when it rejects. Read committed, as Postgres defaults to. Where
   * Postgres broke a deadlock by ending this transaction, `work` runs again from the start, so it must have
   * no effect but on the database.
   *
   * @throws ContendedError where a lock, or a turn, can't be had in time.
   */
  run<T>(work: (transaction: Transaction) => Promise<T>, key?: string): Promise<T> {
    return this.inTurn(key, () => this.dataSource.transaction(work));
  }

  /**
   * Runs one statement that is a transaction of its own. It holds no lock for longer than Postgres works on
   * it, whatever becomes of this process: to be preferred to `run`.
   *
   * @param signal drops the statement as long as it waits for its turn.
   * @throws ContendedError where a lock, or a turn, can't be had in time; Error when it is aborted.
   */
  statement<Row>(sql: string, parameters: unknown[], key?: string, signal?: AbortSignal): Promise<Row[]> {
    return this.inTurn(key, () => queryRows<Row>(this.dataSource.manager, sql, parameters), signal);
  }

  private inTurn<T>(key: string | undefined, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const attempts = async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await work();
        } catch (error) {
          if (isLockTimeout(error)) throw new ContendedError({ cause: error });
          if (attempt === MAX_ATTEMPTS || !isDeadlock(error)) throw error;
        }
      }
    };
    return this.limiter.run(key, attempts, signal);
  }
}
