import type { DataSource } from 'typeorm';
import type { HistogramSeries } from '../observability/metrics/bound-histogram.js';
import { type PoolName, statementDurations } from '../observability/metrics/database.metrics.js';

const series = new WeakMap<DataSource, HistogramSeries>();

/** Measures the statements of this pool under its name. */
export function measureStatements(dataSource: DataSource, pool: PoolName): void {
  series.set(dataSource, statementDurations[pool]);
}

/** Where the durations of the pool's statements are counted. */
export function durationsOf(dataSource: DataSource): HistogramSeries {
  return series.get(dataSource) ?? statementDurations.other;
}
