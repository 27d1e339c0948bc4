import { Logger } from '@nestjs/common';
import { oneAtATime } from '../common/one-at-a-time.js';
import { settlesWithin } from '../common/settles-within.js';

/** How long a scrape waits for a measurement. Most take less. */
const WAIT_MS = 250;

/** A measurement takes at most a twentieth of the time. */
const REST_FACTOR = 20;

export interface MeasurementOptions {
  /** For the log. */
  readonly name: string;
  /** At most once in this time. */
  readonly intervalMs: number;
  /** Measures, and sets gauges. */
  readonly measure: () => Promise<void>;
}

/** Something that is too slow for each scrape. Measures only if it is asked. */
export class BackgroundMeasurement {
  private readonly logger = new Logger('Metrics');
  private dueAt = -Infinity;
  private readonly run = oneAtATime(() => this.runOnce());

  constructor(private readonly options: MeasurementOptions) {}

  /** Call it at each scrape. Begins a measurement if one is due, and waits a moment for it. Never rejects. */
  async refresh(): Promise<void> {
    if (performance.now() >= this.dueAt) await settlesWithin(this.run(), WAIT_MS);
  }

  private async runOnce(): Promise<void> {
    const { name, intervalMs, measure } = this.options;
    const startedAt = performance.now();
    try {
      await measure();
    } catch (error) {
      this.logger.debug({ err: error, measurement: name }, 'a measurement for the metrics failed');
    }
    const now = performance.now();
    this.dueAt = now + Math.max(intervalMs, REST_FACTOR * (now - startedAt));
  }
}
