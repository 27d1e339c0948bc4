import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { ConcurrencyLimiter, WAITING_LIMITS } from './concurrency-limiter.js';
import { ContendedError } from './errors/contended.error.js';
import { asDatabaseError, isDeadlock, isLockTimeout } from './errors/database-errors.js';
import { queryRows } from './query-rows.js';

/**
 * An open transaction. Stores take it as a parameter; only {@link UnitOfWork} opens one. Snapshots that only
 * read are those of `ListQueries`.
 */
export type Transaction = EntityManager;

const MAX_ATTEMPTS = 3;

/** Connections that stay free for checkpoints and leases of uploads. */
const RESERVED_FOR_UPLOADS = 2;

/**
 * Opens transactions. They must not contain storage I/O: a transaction that waits for a slow disk or object
 * store would hold its locks and its connection.
 *
 * Work that competes for a lock passes a key for it. All work of one key together never uses the last
 * connection: it waits in memory instead.
 */
@Injectable()
export class UnitOfWork {
  private readonly limiter: ConcurrencyLimiter;

  constructor(private readonly dataSource: DataSource) {
    const maxRunning = Math.max(1, (dataSource.options.poolSize ?? 1) - RESERVED_FOR_UPLOADS);
    const maxRunningPerKey = Math.max(1, maxRunning - 1);
    this.limiter = new ConcurrencyLimiter({ ...WAITING_LIMITS, maxRunning, maxRunningPerKey });
  }

  /**
   * Runs `work` in a read committed transaction: commits if it resolves, rolls back if it rejects. After a
   * deadlock `work` runs again from the start, so it must have no effects outside the database.
   *
   * @throws ContendedError if the transaction can't start, or can't get a lock, in time.
   */
  run<T>(work: (transaction: Transaction) => Promise<T>, key?: string): Promise<T> {
    return this.runLimited(key === undefined ? [] : [key], () => this.dataSource.transaction(work));
  }

  /**
   * Runs one statement as a transaction of its own. Prefer it to `run`: it holds locks only while Postgres
   * executes it, even if this process stops.
   *
   * @param signal aborts the wait before the statement, but not the statement.
   * @throws ContendedError if the statement can't start, or can't get a lock, in time; Error if aborted.
   */
  statement<Row>(
    sql: string,
    parameters: unknown[],
    keys: readonly string[] = [],
    signal?: AbortSignal,
  ): Promise<Row[]> {
    return this.runLimited(keys, () => queryRows<Row>(this.dataSource.manager, sql, parameters), signal);
  }

  private runLimited<T>(keys: readonly string[], work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.limiter.run(keys, () => retryDeadlocks(work), signal);
  }
}

async function retryDeadlocks<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (isLockTimeout(error)) throw new ContendedError({ cause: error });
      if (attempt === MAX_ATTEMPTS || !isDeadlock(error)) throw asDatabaseError(error);
    }
  }
}
