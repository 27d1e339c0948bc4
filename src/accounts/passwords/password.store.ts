import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { READS } from '../../database/connection/connections.js';
import { queryRows } from '../../database/query-rows.js';
import { UnitOfWork } from '../../database/unit-of-work.js';

/** An account as a login with a password sees it. */
export interface PasswordHolder {
  readonly id: string;
  /** Null: it has no password. */
  readonly passwordHash: string | null;
  /** Differs after each change of the password. */
  readonly generation: number;
  readonly isDisabled: boolean;
  readonly expiresAt: Date | null;
}

/** The password hashes of accounts. Nothing else reads them. */
@Injectable()
export class PasswordStore {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    @Inject(READS) private readonly reads: DataSource,
  ) {}

  /** The account with a name, as of now. Undefined if there is none, or if it was deleted. */
  async find(name: string): Promise<PasswordHolder | undefined> {
    const [row] = await queryRows<PasswordHolder>(
      this.reads.manager,
      `SELECT id, password_hash AS "passwordHash", password_generation AS generation,
              disabled AS "isDisabled", expires_at AS "expiresAt"
         FROM accounts WHERE name = $1 AND deleted_at IS NULL`,
      [name],
    );
    return row;
  }

  /**
   * Replaces the hash of the same password. The password stays the same, so neither its generation nor the
   * epoch rises. Does nothing if the password has changed meanwhile.
   */
  async rehash(id: string, oldHash: string, newHash: string): Promise<void> {
    const sql = 'UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2';
    await this.unitOfWork.statement(sql, [id, oldHash, newHash]);
  }
}
