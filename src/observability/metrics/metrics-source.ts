import { format, snapshot } from './registry.js';

/** Where the metrics of this host come from: this process, or its primary. */
export interface MetricsSource {
  /** All of them, as Prometheus reads them. */
  text(): Promise<string>;
}

/** DI token of the {@link MetricsSource}. */
export const METRICS_SOURCE = Symbol('METRICS_SOURCE');

/** Of a process without workers and without a primary. */
export const OWN_METRICS: MetricsSource = { text: async () => format([await snapshot()]) };
