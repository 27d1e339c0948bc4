import type { HistogramSeries } from '../observability/metrics/bound-histogram.js';
import {
  STORAGE_OPERATIONS,
  storageDurations,
  storageErrors,
  type StorageFailure,
  type StorageOperation,
} from '../observability/metrics/storage.metrics.js';
import type { IoOptions } from './storage-driver.js';
import { ObjectNotFoundError, StorageFullError, StorageUnavailableError } from './storage.errors.js';

/** Counts and times the operations of one driver, for the metrics. */
export class MeasuredOperations {
  private readonly durations = new Map<StorageOperation, HistogramSeries>();

  /** @param driver its name: `filesystem`, `s3` … */
  constructor(private readonly driver: string) {
    for (const operation of STORAGE_OPERATIONS) {
      this.durations.set(operation, storageDurations.series(driver, operation));
      // So that an alert sees the first of them.
      storageErrors.series(driver, operation, 'unavailable');
    }
  }

  async run<T>(operation: StorageOperation, { signal }: IoOptions, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await work();
    } catch (error) {
      storageErrors.inc([this.driver, operation, signal?.aborted === true ? 'aborted' : failureOf(error)]);
      throw error;
    } finally {
      this.durations.get(operation)?.observe((performance.now() - startedAt) / 1000);
    }
  }
}

function failureOf(error: unknown): StorageFailure {
  if (error instanceof ObjectNotFoundError) return 'not_found';
  if (error instanceof StorageFullError) return 'full';
  if (error instanceof StorageUnavailableError) return 'unavailable';
  return 'other';
}
