import { Inject, Injectable } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { freeSpaceOf } from '../../common/free-space.js';
import { isLoopback } from '../../common/loopback.js';
import { settlesWithin } from '../../common/settles-within.js';
import { VERSION } from '../../common/version.js';
import type { Database } from '../../database/database.js';
import { DATABASE } from '../../database/database.module.js';
import { ListQueries } from '../../database/list-queries.js';
import { STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { HASHER_FACTORY, type HasherFactory } from '../../uploads/hash/hasher.js';
import type { CountsDto, OverviewDto } from './overview.dto.js';

type CountsRow = CountsDto & { serverVersion: string };

/** One snapshot. `pg` returns `float8` as a number, exact up to 2^53. */
const COUNTS = `
  SELECT (SELECT count(*)::float8 FROM repositories) AS repositories,
         (SELECT count(*)::float8 FROM manifests) AS manifests,
         (SELECT count(*)::float8 FROM tags) AS tags,
         b.blobs, b."blobBytes",
         (SELECT count(*)::float8 FROM uploads WHERE state IN ('open', 'committing')) AS "uploadsInProgress",
         current_setting('server_version') AS "serverVersion"
    FROM (SELECT count(*)::float8 AS blobs, coalesce(sum(size_bytes), 0)::float8 AS "blobBytes"
            FROM blobs) AS b`;

/** Collects the overview. */
@Injectable()
export class OverviewService {
  private counting: Promise<CountsRow> | undefined;

  constructor(
    private readonly configuration: Configuration,
    @Inject(DATABASE) private readonly database: Database,
    private readonly lists: ListQueries,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  async overview(): Promise<OverviewDto> {
    const { clusterDirectory } = this.database;
    const [{ serverVersion, ...counts }, storageFreeBytes, databaseFreeBytes] = await Promise.all([
      this.count(),
      measured(this.driver.freeBytes()),
      clusterDirectory === undefined ? null : measured(freeBytesOf(clusterDirectory)),
    ]);
    return {
      version: VERSION,
      nodeVersion: process.version,
      uptimeSeconds: Math.floor(process.uptime()),
      storage: { driver: this.driver.name, location: this.driver.location, freeBytes: storageFreeBytes },
      database: { description: this.database.description, serverVersion, freeBytes: databaseFreeBytes },
      hashImplementation: this.hashers.implementation,
      access: {
        mode: this.configuration.accessMode ?? 'open',
        loopbackOnly: isLoopback(this.configuration.host),
      },
      counts,
    };
  }

  /** Counting reads whole tables, so concurrent callers share one query. */
  private count(): Promise<CountsRow> {
    this.counting ??= this.queryCounts().finally(() => (this.counting = undefined));
    return this.counting;
  }

  private async queryCounts(): Promise<CountsRow> {
    const [row] = await this.lists.run<CountsRow>(COUNTS);
    if (row === undefined) throw new Error('the query for counts returned no row');
    return row;
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

async function freeBytesOf(directory: string): Promise<number> {
  return (await freeSpaceOf(directory)).freeBytes;
}
