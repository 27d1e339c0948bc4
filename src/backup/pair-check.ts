import { DataSource } from 'typeorm';
import { type ObjectState, objectStateOf } from '../blobs/object-state.js';
import { mapBounded } from '../common/map-bounded.js';
import { queryRows } from '../database/query-rows.js';
import type { ObjectKey } from '../storage/object-key.js';
import type { StorageDriver } from '../storage/storage-driver.js';

/** A check without `full` looks at this many of the newest blobs, and at as many random ones. */
const SAMPLE = 500;
const PAGE = 1_000;
const CONCURRENT_STATS = 16;

/** How many missing objects a report names. */
export const MAX_NAMED = 100;

/** How often a row is read again that changes while it is checked. */
const MAX_READS = 3;

/** A blob whose object is not in the storage, or has another size. */
export interface MissingObject {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly state: Exclude<ObjectState, 'present'>;
  /** One of the repositories that link it. Null: no repository does. */
  readonly repository: string | null;
}

export interface PairReport {
  readonly blobs: number;
  readonly checked: number;
  readonly missing: number;
  /** The first {@link MAX_NAMED} of them. */
  readonly named: readonly MissingObject[];
}

interface BlobRow {
  readonly id: string;
  readonly objectKey: ObjectKey;
  readonly sizeBytes: string;
}

const COLUMNS = 'id, object_key AS "objectKey", size_bytes AS "sizeBytes"';

/**
 * Compares the rows of blobs with the objects of a storage, by their sizes. A registry may use both at the
 * same time, because it deletes objects after their rows.
 */
export class PairCheck {
  private checked = 0;
  private missing = 0;
  private readonly named: MissingObject[] = [];

  constructor(
    private readonly dataSource: DataSource,
    private readonly driver: StorageDriver,
  ) {}

  /** @param full whether all blobs are checked, instead of a sample. */
  async run(full: boolean): Promise<PairReport> {
    const [count] = await this.query<{ blobs: string }>('SELECT count(*) AS blobs FROM blobs');
    const blobs = Number(count?.blobs);
    if (full || blobs <= 2 * SAMPLE) await this.checkAll();
    else await this.check(await this.sample());
    const { checked, missing, named } = this;
    return { blobs, checked, missing, named };
  }

  private async checkAll(): Promise<void> {
    for (let after = '0'; ;) {
      const page = await this.query<BlobRow>(
        `SELECT ${COLUMNS} FROM blobs WHERE id > $1 ORDER BY id LIMIT ${PAGE}`,
        [after],
      );
      await this.check(page);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.id;
    }
  }

  /** The newest blobs, which a storage that was copied too early lacks, and random ones. */
  private sample(): Promise<BlobRow[]> {
    return this.query(
      `WITH bounds AS (SELECT min(id) AS low, max(id) AS high FROM blobs),
            starts AS MATERIALIZED (
              SELECT low + floor(random() * (high - low + 1))::bigint AS start
                FROM bounds, generate_series(1, ${SAMPLE}))
       (SELECT ${COLUMNS} FROM blobs ORDER BY id DESC LIMIT ${SAMPLE})
        UNION
       SELECT found.* FROM starts CROSS JOIN LATERAL (
         SELECT ${COLUMNS} FROM blobs WHERE id >= start ORDER BY id LIMIT 1) AS found`,
    );
  }

  private async check(rows: readonly BlobRow[]): Promise<void> {
    await mapBounded(rows, CONCURRENT_STATS, async (row) => {
      const state = await this.stateOf(row);
      this.checked += 1;
      if (state === 'present') return;
      this.missing += 1;
      if (this.missing <= MAX_NAMED) this.named.push(await this.describe(row, state));
    });
  }

  /** Reads the row of a missing object again: it may be gone, or have another object by now. */
  private async stateOf(row: BlobRow): Promise<ObjectState> {
    for (let read = 1, current = row; ; read += 1) {
      const blob = { ...current, sizeBytes: Number(current.sizeBytes) };
      const state = await objectStateOf(this.driver, blob);
      if (state === 'present' || read === MAX_READS) return state;
      const [now] = await this.query<BlobRow>(`SELECT ${COLUMNS} FROM blobs WHERE id = $1`, [row.id]);
      if (now === undefined) return 'present';
      if (now.objectKey === current.objectKey) return state;
      current = now;
    }
  }

  private async describe(row: BlobRow, state: MissingObject['state']): Promise<MissingObject> {
    const [found] = await this.query<{ digest: string; repository: string | null }>(
      `SELECT (SELECT digest FROM blob_digests WHERE blob_id = $1 ORDER BY digest LIMIT 1) AS digest,
              (SELECT coalesce(r.name, r.deleted_name) FROM repository_blobs l
                 JOIN repositories r ON r.id = l.repository_id
                WHERE l.blob_id = $1 ORDER BY r.name LIMIT 1) AS repository`,
      [row.id],
    );
    const { digest = row.objectKey, repository = null } = found ?? {};
    return { digest, repository, sizeBytes: Number(row.sizeBytes), state };
  }

  private query<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return queryRows<Row>(this.dataSource.manager, sql, parameters);
  }
}
