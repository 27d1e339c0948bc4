import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';

/** A running transaction. Repositories take it explicitly; nothing else may open one. */
export type Transaction = EntityManager;

/**
 * Where transactions are opened. What runs inside must not touch storage: a transaction that waits for a slow disk or
 * an object store holds its locks and its connection all the while.
 */
@Injectable()
export class UnitOfWork {
  constructor(private readonly dataSource: DataSource) {}

  /** Commits when `work` settles, rolls back when it rejects. Read committed, as Postgres defaults to. */
  run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.dataSource.transaction(work);
  }
}
