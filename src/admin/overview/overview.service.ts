import { Inject, Injectable } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { freeSpaceOf } from '../../common/free-space.js';
import { isLoopback } from '../../common/loopback.js';
import { oneAtATime } from '../../common/one-at-a-time.js';
import { settlesWithin } from '../../common/settles-within.js';
import { VERSION } from '../../common/version.js';
import type { Database } from '../../database/database.js';
import { DATABASE } from '../../database/database.module.js';
import { ListQueries } from '../../database/list-queries.js';
import { STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { HASHER_FACTORY, type HasherFactory } from '../../uploads/hash/hasher.js';
import type { CountsDto, OverviewDto } from './overview.dto.js';

type CountsRow = CountsDto & { serverVersion: string };

/** A deleted repository has no name. Its rows are kept for a while. */
const IN_LIVE_REPOSITORY = 'JOIN repositories r ON r.id = m.repository_id WHERE r.name IS NOT NULL';

/** One snapshot. `pg` returns `float8` as a number, exact up to 2^53. */
const COUNTS = `
  SELECT (SELECT count(*)::float8 FROM repositories WHERE name IS NOT NULL) AS repositories,
         (SELECT count(*)::float8 FROM live_manifests m ${IN_LIVE_REPOSITORY}) AS manifests,
         (SELECT count(*)::float8 FROM tags m ${IN_LIVE_REPOSITORY}) AS tags,
         b.blobs, b."blobBytes",
         (SELECT count(*)::float8 FROM uploads WHERE state IN ('open', 'committing')) AS "uploadsInProgress",
         current_setting('server_version') AS "serverVersion"
    FROM (SELECT count(*)::float8 AS blobs, coalesce(sum(size_bytes), 0)::float8 AS "blobBytes"
            FROM blobs) AS b`;

/** Collects the overview. */
@Injectable()
export class OverviewService {
  /** Counting reads whole tables. */
  private readonly count = oneAtATime(() => this.queryCounts());
  // On a hung file system each measurement keeps a thread of Node's pool.
  private readonly storageFreeBytes = oneAtATime(() => this.driver.freeBytes());
  private readonly databaseFreeBytes = oneAtATime(() => this.measureDatabase());

  constructor(
    private readonly configuration: Configuration,
    @Inject(DATABASE) private readonly database: Database,
    private readonly lists: ListQueries,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  async overview(): Promise<OverviewDto> {
    const [{ serverVersion, ...counts }, storageFree, databaseFree] = await Promise.all([
      this.count(),
      measured(this.storageFreeBytes()),
      measured(this.databaseFreeBytes()),
    ]);
    return {
      version: VERSION,
      nodeVersion: process.version,
      uptimeSeconds: Math.floor(process.uptime()),
      storage: { driver: this.driver.name, location: this.driver.location, freeBytes: storageFree },
      database: { description: this.database.description, serverVersion, freeBytes: databaseFree },
      hashImplementation: this.hashers.implementation,
      access: {
        mode: this.configuration.access,
        loopbackOnly: isLoopback(this.configuration.host),
      },
      counts,
    };
  }

  private async queryCounts(): Promise<CountsRow> {
    const [row] = await this.lists.run<CountsRow>(COUNTS);
    if (row === undefined) throw new Error('the query for counts returned no row');
    return row;
  }

  /** Undefined for an external database. */
  private async measureDatabase(): Promise<number | undefined> {
    const { clusterDirectory } = this.database;
    return clusterDirectory === undefined ? undefined : (await freeSpaceOf(clusterDirectory)).freeBytes;
  }
}

/** Measuring a network file system whose server is gone never ends. */
const MEASURE_TIMEOUT_MS = 2_000;

/** Null if there is nothing to measure, or it fails, or takes too long. */
async function measured(measuring: Promise<number | undefined>): Promise<number | null> {
  try {
    return (await settlesWithin(measuring, MEASURE_TIMEOUT_MS)) ? ((await measuring) ?? null) : null;
  } catch {
    return null;
  }
}
