import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';

/** A running transaction. Repositories take it explicitly; nothing else may open one. */
export type Transaction = EntityManager;

const MAX_ATTEMPTS = 3;

/** `serialization_failure` and `deadlock_detected`: the statement was right, the moment wasn't. */
const DEADLOCK_CODES = ['40001', '40P01'];

/**
 * Where transactions are opened. What runs inside must not touch storage: a transaction that waits for a slow disk or
 * an object store holds its locks and its connection all the while.
 */
@Injectable()
export class UnitOfWork {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Commits when `work` settles, rolls back when it rejects. Read committed, as Postgres defaults to. Where Postgres broke
   * a deadlock by ending this transaction, `work` runs again from the start, so it must have no effect but on the database.
   */
  async run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.dataSource.transaction(work);
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !isDeadlock(error)) throw error;
      }
    }
  }
}

function isDeadlock(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code } = error.driverError as { code?: unknown };
  return DEADLOCK_CODES.includes(String(code));
}
