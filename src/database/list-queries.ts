import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { ConcurrencyLimiter, WAITING_LIMITS } from './concurrency-limiter.js';
import { READS } from './connection/connections.js';
import { type Page, toPage } from './page.js';
import { asDatabaseError } from './errors/database-errors.js';
import { queryRows } from './query-rows.js';

/**
 * Queries that return or examine many rows: lists and the admin API. They use at most half of the read
 * connections, so that pulls always have the rest.
 */
@Injectable()
export class ListQueries {
  private readonly limiter: ConcurrencyLimiter;

  constructor(@Inject(READS) private readonly reads: DataSource) {
    const maxRunning = Math.max(1, Math.floor((reads.options.poolSize ?? 1) / 2));
    this.limiter = new ConcurrencyLimiter({ ...WAITING_LIMITS, maxRunning, maxRunningPerKey: maxRunning });
  }

  /** Returns the rows of one statement. @throws ContendedError if too many list queries wait. */
  run<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return this.limiter.run([], () => queryRows<Row>(this.reads.manager, sql, parameters));
  }

  /**
   * Like `run`, for a statement whose last parameter is its `LIMIT`: one more than `limit` is passed there.
   */
  async page<Row>(sql: string, parameters: readonly unknown[], limit: number): Promise<Page<Row>> {
    return toPage(await this.run<Row>(sql, [...parameters, limit + 1]), limit);
  }

  /**
   * Runs `work`, whose statements all see the same snapshot of the database. They can't write, and hold no
   * locks that writes wait for: it is not a transaction in the sense of `UnitOfWork`.
   *
   * @throws ContendedError if too many list queries wait.
   */
  snapshot<T>(work: (reads: EntityManager) => Promise<T>): Promise<T> {
    return this.limiter.run([], async () => {
      try {
        return await this.reads.transaction('REPEATABLE READ', async (manager) => {
          await manager.query('SET TRANSACTION READ ONLY');
          return work(manager);
        });
      } catch (error) {
        throw asDatabaseError(error);
      }
    });
  }
}
