import type { Metric } from 'prom-client';
import { type Labels, labelsOf, type MetricOptions } from './metric-options.js';
import { registry } from './registry.js';

/** One series of a {@link BoundHistogram}. */
export class HistogramSeries {
  /** Observations up to each bound, and above all of them; not cumulative. */
  readonly counts: number[];
  sum = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] ?? Infinity)) index += 1;
    counts[index] = (counts[index] ?? 0) + 1;
    this.sum += value;
  }
}

export interface HistogramOptions<Label extends string> extends MetricOptions<Label> {
  readonly buckets: readonly number[];
}

interface Sample {
  readonly value: number;
  readonly labels: Labels<string>;
  readonly metricName: string;
}

/**
 * A histogram whose series are bound once. prom-client's needs 1.5 µs for each observation, because it finds
 * the series by its labels and the bucket by its name; this one 0.02 µs. A GET of a manifest takes 60 µs.
 */
export class BoundHistogram<Label extends string = never> {
  private readonly all = new Map<string, { labels: Labels<Label>; series: HistogramSeries }>();

  constructor(private readonly options: HistogramOptions<Label>) {
    const { name, help, labelNames = [] } = options;
    const described = { name, help, type: 'histogram', aggregator: 'sum', labelNames };
    const get = () => Promise.resolve({ ...described, values: this.samples() });
    // A registry reads no more of a metric than this; prom-client's aggregation registers such objects, too.
    registry.registerMetric({ ...described, get } as unknown as Metric);
  }

  /** @param values of the labels, in the order of `labelNames`. Few: each combination stays in memory. */
  series(...values: readonly string[]): HistogramSeries {
    const key = values.join('\n');
    const known = this.all.get(key);
    if (known !== undefined) return known.series;
    const series = new HistogramSeries(this.options.buckets);
    this.all.set(key, { labels: labelsOf(this.options, values), series });
    return series;
  }

  private samples(): Sample[] {
    const { name, buckets } = this.options;
    return [...this.all.values()].flatMap(({ labels, series }) => {
      let count = 0;
      const cumulative = [...buckets.map(String), '+Inf'].map((le, index): Sample => {
        count += series.counts[index] ?? 0;
        return { value: count, labels: { ...labels, le }, metricName: `${name}_bucket` };
      });
      return [
        ...cumulative,
        { value: series.sum, labels, metricName: `${name}_sum` },
        { value: count, labels, metricName: `${name}_count` },
      ];
    });
  }
}
