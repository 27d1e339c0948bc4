import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { KeyPair } from './key-pair.js';

/** The row with the certificate authority. */
@Injectable()
export class TlsAuthorityStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Undefined if there is no authority yet. */
  async read(): Promise<KeyPair | undefined> {
    const [row] = await queryRows<KeyPair>(
      this.dataSource.manager,
      'SELECT certificate AS cert, private_key AS key FROM tls_authority WHERE is_only_row',
    );
    return row;
  }

  /** Does nothing if another process inserted one first: read it afterwards. */
  async insert({ cert, key }: KeyPair): Promise<void> {
    await queryRows(
      this.dataSource.manager,
      `INSERT INTO tls_authority (certificate, private_key) VALUES ($1, $2)
       ON CONFLICT (is_only_row) DO NOTHING RETURNING created_at`,
      [cert, key],
    );
  }

  /** Does nothing if `former` is not the authority any more: read it afterwards. */
  async replace(former: KeyPair, { cert, key }: KeyPair): Promise<void> {
    await queryRows(
      this.dataSource.manager,
      `UPDATE tls_authority SET certificate = $2, private_key = $3, created_at = now()
        WHERE certificate = $1 RETURNING created_at`,
      [former.cert, cert, key],
    );
  }
}
