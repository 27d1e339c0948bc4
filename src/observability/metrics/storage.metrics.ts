import { Gauge } from 'prom-client';
import { BoundCounter } from './bound-counter.js';
import { BoundHistogram } from './bound-histogram.js';
import { registry } from './registry.js';

/** The operations of a driver that are measured. Writes of an upload are part of its checkpoints. */
export const STORAGE_OPERATIONS = [
  ...(['stat', 'read', 'open', 'redirect', 'delete', 'delete_many'] as const),
  ...(['create_upload', 'open_upload', 'store_upload', 'read_upload'] as const),
  ...(['fence_upload', 'finish_upload', 'abort_upload', 'check', 'identity'] as const),
] as const;
export type StorageOperation = (typeof STORAGE_OPERATIONS)[number];

/** Kinds of failures. `not_found` is the result of many a question. */
export type StorageFailure = 'not_found' | 'full' | 'unavailable' | 'aborted' | 'other';

export const storageDurations = new BoundHistogram({
  name: 'berth_storage_operation_duration_seconds',
  help:
    'Time of an operation of the storage driver, also of one that failed, with its retries. Of a read: until ' +
    'its first byte can be read',
  labelNames: ['driver', 'operation'],
  buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
});

export const storageErrors = new BoundCounter({
  name: 'berth_storage_errors_total',
  help: 'Operations of the storage driver that failed. unavailable: it can not be reached or is overloaded',
  labelNames: ['driver', 'operation', 'error'],
});

/** Set before a scrape. */
export const freeBytes = new Gauge({
  name: 'berth_disk_free_bytes',
  help: 'Free space of the disk of the storage, and of the embedded database. Absent for an object store',
  labelNames: ['of'],
  aggregator: 'min',
  registers: [registry],
});

export const diskBytes = new Gauge({
  name: 'berth_disk_size_bytes',
  help: 'Size of the disk of the embedded database, and of the storage on the file system',
  labelNames: ['of'],
  aggregator: 'min',
  registers: [registry],
});
