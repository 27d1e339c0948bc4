import { isDeepStrictEqual } from 'node:util';
import type { DriverUploadState } from '../../src/storage/storage-driver.js';
import type { RunResults } from './run-results.js';
import type { ChaosPostgres } from './postgres.js';
import type { MeasuresUnrecorded } from './storage.js';

interface SessionRow {
  readonly driver_state: DriverUploadState;
  readonly offset_bytes: string;
  readonly version: string;
}

/** Measures how many bytes clients must resend after a writer of their uploads was killed. */
export class ResendCost {
  constructor(
    private readonly postgres: ChaosPostgres,
    private readonly storage: MeasuresUnrecorded,
    private readonly results: RunResults,
  ) {}

  /** Records the bytes in storage after the row's offset, for each of these uploads. */
  async measure(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const before = await this.row(id);
      if (before === undefined) continue;
      const bytes = await this.storage.unrecordedBytes({ id, state: before.driver_state });
      // If another writer changed the row meanwhile, the row and the bytes are not of the same moment.
      if (!isDeepStrictEqual(await this.row(id), before)) continue;
      this.results.unrecorded(id, bytes);
    }
  }

  /** Returns undefined if Postgres is down, or the upload has ended. */
  private async row(id: string): Promise<SessionRow | undefined> {
    const sql = `SELECT driver_state, offset_bytes, version FROM uploads WHERE id = $1 AND state = 'open'`;
    const [row] = await this.postgres.query<SessionRow>(sql, [id]).catch(() => []);
    return row;
  }
}
