import { Gauge } from 'prom-client';
import { registry } from './registry.js';

// What the database knows of the whole registry: each host says the same. Measured seldom, and set then.

export const openSessions = new Gauge({
  name: 'berth_upload_sessions',
  help: 'Upload sessions of the registry that have not ended',
  aggregator: 'max',
  registers: [registry],
});

export const garbageBytes = new Gauge({
  name: 'berth_garbage_bytes',
  help:
    'Bytes of objects that the collector will delete from the storage: due now, and in all (later: after the ' +
    'windows for undoing and for pulls in progress)',
  labelNames: ['when'],
  aggregator: 'max',
  registers: [registry],
});

export const garbageObjects = new Gauge({
  name: 'berth_garbage_objects',
  help: 'The number of these objects',
  labelNames: ['when'],
  aggregator: 'max',
  registers: [registry],
});

export const failingDeletions = new Gauge({
  name: 'berth_garbage_failing_objects',
  help: 'Objects that could not be deleted yet: the collector tries again',
  aggregator: 'max',
  registers: [registry],
});

export const measuredAt = new Gauge({
  name: 'berth_garbage_measured_timestamp_seconds',
  help: 'When the garbage was measured, as a Unix time',
  aggregator: 'max',
  registers: [registry],
});

// Absent until they are measured: prom-client begins with 0.
for (const gauge of [openSessions, failingDeletions, measuredAt]) gauge.remove();
