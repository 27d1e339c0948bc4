import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { ForecastQuery } from '../collection/forecast/forecast.query.js';
import { freeSpaceOf } from '../common/free-space.js';
import { Configuration } from '../config/configuration.js';
import type { Database } from '../database/database.js';
import { DATABASE } from '../database/database.module.js';
import { ListQueries } from '../database/list-queries.js';
import { jobLastSuccess } from '../observability/metrics/job.metrics.js';
import { beforeScrape } from '../observability/metrics/registry.js';
import {
  failingDeletions,
  garbageBytes,
  garbageObjects,
  measuredAt,
  openSessions,
} from '../observability/metrics/registry-wide.metrics.js';
import { diskBytes, freeBytes } from '../observability/metrics/storage.metrics.js';
import { BackgroundMeasurement } from './background-measurement.js';

const SESSIONS = `
  SELECT count(*)::float8 AS sessions FROM uploads WHERE state IN ('open', 'committing')`;

/** Runs that found nothing to do leave only the time of the last one, in the job's own row. */
const JOBS = `
  SELECT j.name, extract(epoch FROM greatest(CASE WHEN j.error IS NULL THEN j.ended_at END, r.ended_at))::float8
           AS seconds
    FROM jobs j
    LEFT JOIN LATERAL (SELECT ended_at FROM job_runs
                        WHERE job = j.name AND state = 'succeeded' AND NOT is_dry_run
                        ORDER BY id DESC LIMIT 1) AS r ON true
   WHERE r.ended_at IS NOT NULL OR j.ended_at IS NOT NULL AND j.error IS NULL`;

/**
 * Metrics of what all processes share: the disks and the rows. One process of a host measures them, seldom,
 * and only while it is asked.
 */
@Injectable()
export class RegistryGauges implements OnModuleDestroy {
  private readonly measurements = [
    new BackgroundMeasurement({ name: 'disks', intervalMs: 5_000, measure: () => this.measureDisks() }),
    new BackgroundMeasurement({ name: 'rows', intervalMs: 60_000, measure: () => this.measureRows() }),
    // It reads all garbage.
    new BackgroundMeasurement({ name: 'garbage', intervalMs: 300_000, measure: () => this.measureGarbage() }),
  ];
  private readonly stop = beforeScrape(async () => {
    await Promise.all(this.measurements.map((each) => each.refresh()));
  });

  constructor(
    private readonly configuration: Configuration,
    @Inject(DATABASE) private readonly database: Database,
    private readonly lists: ListQueries,
    private readonly forecast: ForecastQuery,
  ) {}

  onModuleDestroy(): void {
    this.stop();
  }

  private async measureDisks(): Promise<void> {
    const { storageDriver, filesystemRoot } = this.configuration;
    const { clusterDirectory } = this.database;
    if (storageDriver === 'filesystem') await measureDisk('storage', filesystemRoot);
    if (clusterDirectory !== undefined) await measureDisk('database', clusterDirectory);
  }

  private async measureRows(): Promise<void> {
    const [counted] = await this.lists.run<{ sessions: number }>(SESSIONS);
    if (counted !== undefined) openSessions.set(counted.sessions);
    for (const { name, seconds } of await this.lists.run<{ name: string; seconds: number }>(JOBS))
      jobLastSuccess.set({ job_name: name }, seconds);
  }

  private async measureGarbage(): Promise<void> {
    const { now, afterWindows, stages } = await this.forecast.measure();
    for (const [when, total] of [['now', now] as const, ['later', afterWindows] as const]) {
      garbageBytes.set({ when }, total.bytesFreed);
      garbageObjects.set({ when }, total.objects);
    }
    failingDeletions.set(stages.objects.failing);
    measuredAt.setToCurrentTime();
  }
}

async function measureDisk(of: 'storage' | 'database', directory: string): Promise<void> {
  const space = await freeSpaceOf(directory);
  freeBytes.set({ of }, space.freeBytes);
  diskBytes.set({ of }, space.totalBytes);
}
