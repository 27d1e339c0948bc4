import { AggregatorRegistry, type MetricObjectWithValues, Registry } from 'prom-client';

type Value = { value: number; labels: Partial<Record<string, string | number>>; metricName?: string };

/** The metrics of one process, as JSON. */
export type MetricsSnapshot = readonly MetricObjectWithValues<Value>[];

/** The metrics of this process: one, as in other programs, and not one per application (docs/adr/0039). */
export const registry = new Registry();

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

type Read = () => Promise<void> | void;
const reads = new Set<Read>();

/** Calls `read` before each scrape, to set gauges. It must be quick. Returns what ends that. */
export function beforeScrape(read: Read): () => void {
  reads.add(read);
  return () => void reads.delete(read);
}

/** Never rejects: what can't be read now keeps its last value. */
export async function snapshot(): Promise<MetricsSnapshot> {
  await Promise.allSettled([...reads].map(async (read) => read()));
  return await registry.getMetricsAsJSON();
}

/** Adds up counters and histograms of several processes; gauges as each of them says. */
export async function sum(snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  return await aggregated(snapshots).getMetricsAsJSON();
}

/** As Prometheus reads it. */
export function format(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return aggregated(snapshots).metrics();
}

/** A channel between processes turns numbers that are not finite into null: such a value says nothing. */
function aggregated(snapshots: readonly MetricsSnapshot[]): Registry {
  const measured = snapshots.map((metrics) =>
    metrics.map((metric) => ({
      ...metric,
      aggregator: AGGREGATORS[metric.name] ?? metric.aggregator,
      values: metric.values.filter(({ value }) => Number.isFinite(value)),
    })),
  );
  return AggregatorRegistry.aggregate(measured);
}

/** Where prom-client's own choice would hide the slowest process, or the oldest. */
const AGGREGATORS: Readonly<Record<string, 'min' | 'max'>> = {
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
  process_start_time_seconds: 'min',
};
