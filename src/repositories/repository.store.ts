import { Injectable } from '@nestjs/common';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import type { RepositoryName } from '../oci/repository-name.js';

/** The rows of repositories. A repository comes into being with the first content committed to it. */
@Injectable()
export class RepositoryStore {
  /** The repository's id, or nothing where it doesn't exist. */
  async find(transaction: Transaction, name: RepositoryName): Promise<string | undefined> {
    const sql = 'SELECT id FROM repositories WHERE name = $1';
    return (await queryRows<{ id: string }>(transaction, sql, [name]))[0]?.id;
  }

  /** The repository's id; makes the repository where it doesn't exist. */
  async ensure(transaction: Transaction, name: RepositoryName): Promise<string> {
    const existing = await this.find(transaction, name);
    if (existing !== undefined) return existing;
    // Of two transactions that make it at once the second one waits here, then finds the first one's row.
    await queryRows(
      transaction,
      'INSERT INTO repositories (name) VALUES ($1) ON CONFLICT (name) DO NOTHING',
      [name],
    );
    const made = await this.find(transaction, name);
    if (made === undefined) throw new Error('a repository vanished while it was being made');
    return made;
  }
}
