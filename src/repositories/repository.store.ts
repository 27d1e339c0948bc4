import { Injectable } from '@nestjs/common';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import type { RepositoryName } from '../oci/repository-name.js';

/** The rows of repositories. The first blob or manifest committed to a repository creates it. */
@Injectable()
export class RepositoryStore {
  /** The repository's id; undefined if it does not exist. */
  async find(transaction: Transaction, name: RepositoryName): Promise<string | undefined> {
    const sql = 'SELECT id FROM repositories WHERE name = $1';
    return (await queryRows<{ id: string }>(transaction, sql, [name]))[0]?.id;
  }

  /** The repository's id. Creates the repository if it does not exist. */
  async ensure(transaction: Transaction, name: RepositoryName): Promise<string> {
    const existing = await this.find(transaction, name);
    if (existing !== undefined) return existing;
    // If another transaction inserts the same name, this waits for it and then finds its row.
    await queryRows(
      transaction,
      'INSERT INTO repositories (name) VALUES ($1) ON CONFLICT (name) DO NOTHING',
      [name],
    );
    const created = await this.find(transaction, name);
    if (created === undefined) throw new Error('a repository was deleted while it was being created');
    return created;
  }
}
