import { Injectable } from '@nestjs/common';
import { queryRows } from '../../database/query-rows.js';
import { type Transaction, UnitOfWork } from '../../database/unit-of-work.js';

/** Is called after a change, before it is acknowledged. */
type Listener = () => Promise<void>;

/** Changes of access: accounts, groups, grants and secrets. */
@Injectable()
export class AccessChanges {
  private readonly listeners: Listener[] = [];

  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Sets what must know of a change before it is acknowledged: an acknowledged change acts at once. */
  onChange(listener: Listener): void {
    this.listeners.push(listener);
  }

  /**
   * Runs `work` in a transaction, as {@link UnitOfWork.run} does. Changes of access are made one after the
   * other, on all replicas: so a rule about several rows, such as the last admin's, needs no further lock.
   */
  async run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const result = await this.unitOfWork.run(async (transaction) => {
      await queryRows(transaction, 'SELECT FROM access_state WHERE is_only_row FOR UPDATE');
      return work(transaction);
    }, 'access');
    for (const listener of this.listeners) await listener();
    return result;
  }
}
