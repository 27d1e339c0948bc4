import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';

/** The claim as the database knows it. */
export interface ClaimRow {
  /** The identity of the database. */
  readonly identity: string;
  readonly number: number;
  readonly token: string | null;
  readonly formerToken: string | null;
  readonly nextToken: string | null;
  /** The last renewal is so long ago that the next one is due. */
  readonly isDue: boolean;
}

type Row = Omit<ClaimRow, 'number'> & { readonly number: string };

/** A clone that is started later finds that the original has renewed the claim meanwhile. */
export const RENEWAL_SECONDS = 300;

const COLUMNS = `c.number, c.token, c.former_token AS "formerToken", c.next_token AS "nextToken",
  coalesce(c.renewed_at < now() - interval '${RENEWAL_SECONDS} seconds', true) AS "isDue"`;

/** Reads and writes the claim in the database. */
@Injectable()
export class StorageClaimStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Undefined if a row was deleted. */
  async read(): Promise<ClaimRow | undefined> {
    return this.one(
      `SELECT i.id AS identity, ${COLUMNS} FROM storage_claim c CROSS JOIN storage_identity i
        WHERE c.is_only_row AND i.is_only_row`,
    );
  }

  /** Records the token that is going to be written to the storage. Concurrent calls choose the same one. */
  async begin(): Promise<ClaimRow | undefined> {
    return this.one(
      `UPDATE storage_claim c SET next_token = coalesce(c.next_token, gen_random_uuid())
         FROM storage_identity i WHERE c.is_only_row AND i.is_only_row
       RETURNING i.id AS identity, ${COLUMNS}`,
    );
  }

  /** Forgets all tokens but a new one, which is going to be written to the storage. */
  async beginAnew(): Promise<ClaimRow | undefined> {
    return this.one(
      `UPDATE storage_claim c SET token = NULL, former_token = NULL, next_token = gen_random_uuid()
         FROM storage_identity i WHERE c.is_only_row AND i.is_only_row
       RETURNING i.id AS identity, ${COLUMNS}`,
    );
  }

  /** Records that the storage has the token. */
  async complete(token: string): Promise<void> {
    await queryRows(
      this.dataSource.manager,
      `UPDATE storage_claim
          SET former_token = token, token = next_token, next_token = NULL, number = number + 1,
              renewed_at = now()
        WHERE next_token = $1 RETURNING number`,
      [token],
    );
  }

  private async one(sql: string): Promise<ClaimRow | undefined> {
    const [row] = await queryRows<Row>(this.dataSource.manager, sql);
    return row && { ...row, number: Number(row.number) };
  }
}
