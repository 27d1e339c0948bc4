import { isDeepStrictEqual } from 'node:util';
import type { DriverUploadState } from '../../src/storage/storage-driver.js';
import type { Ledger } from './ledger.js';
import type { ChaosPostgres } from './postgres.js';
import type { TellsUnrecorded } from './storage.js';

interface SessionRow {
  readonly driver_state: DriverUploadState;
  readonly offset_bytes: string;
  readonly version: string;
}

/** What clients have to send again after a writer of their uploads was killed. */
export class CostOfAKill {
  constructor(
    private readonly postgres: ChaosPostgres,
    private readonly storage: TellsUnrecorded,
    private readonly ledger: Ledger,
  ) {}

  /** Notes the bytes in storage past the offset that the row has, for each of these uploads. */
  async measure(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const before = await this.row(id);
      if (before === undefined) continue;
      const bytes = await this.storage.unrecordedBytes({ id, state: before.driver_state });
      // Where somebody writes it (it need not have been the dead one), the two don't belong together.
      if (!isDeepStrictEqual(await this.row(id), before)) continue;
      this.ledger.unrecorded(id, bytes);
    }
  }

  /** Nothing while Postgres is away, or when the upload is over. */
  private async row(id: string): Promise<SessionRow | undefined> {
    const sql = `SELECT driver_state, offset_bytes, version FROM uploads WHERE id = $1 AND state = 'open'`;
    const [row] = await this.postgres.query<SessionRow>(sql, [id]).catch(() => []);
    return row;
  }
}
