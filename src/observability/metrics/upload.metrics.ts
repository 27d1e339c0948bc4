import { Gauge } from 'prom-client';
import { BoundCounter } from './bound-counter.js';
import { BoundHistogram } from './bound-histogram.js';
import { registry } from './registry.js';

/** How an upload session ends. */
export const UPLOAD_OUTCOMES = ['committed', 'cancelled', 'expired'] as const;

/** Why a request that wrote to an upload failed. */
export const UPLOAD_FAILURES = [
  'disconnected',
  'fenced',
  'digest_mismatch',
  'stopping',
  'refused',
  'storage',
  'disk_full',
  'database',
  'other',
] as const;
export type UploadFailure = (typeof UPLOAD_FAILURES)[number];

export const uploadsStarted = new BoundCounter({
  name: 'berth_uploads_started_total',
  help: 'Upload sessions that were started',
}).series();

export const uploadsEnded = new BoundCounter({
  name: 'berth_uploads_ended_total',
  help: 'Upload sessions that ended: as a blob (committed), by their client (cancelled), or idle (expired)',
  labelNames: ['outcome'],
});

export const uploadsResumed = new BoundCounter({
  name: 'berth_uploads_resumed_total',
  help:
    'Requests that went on with a session that had bytes, in another process than the last request of it. ' +
    'Chunks that a load balancer spreads count, too',
}).series();

export const uploadsTakenOver = new BoundCounter({
  name: 'berth_uploads_taken_over_total',
  help: 'Requests that got a session from a writer that never released it: killed, frozen or cut off',
}).series();

export const uploadFailures = new BoundCounter({
  name: 'berth_upload_failures_total',
  help:
    'Requests that wrote to an upload and failed, by reason. The session and its durable bytes stay. fenced: ' +
    'another request has taken the session over; stopping: this process stops',
  labelNames: ['reason'],
});

/** Set before a scrape. */
export const uploadsWriting = new Gauge({
  name: 'berth_uploads_writing',
  help: 'Upload sessions that requests write to at this moment',
  registers: [registry],
});

export const repeatedBytes = new BoundCounter({
  name: 'berth_upload_repeated_bytes_total',
  help: 'Bytes that clients sent although their session had them: they were compared and not stored again',
}).series();

export const discardedBytes = new BoundCounter({
  name: 'berth_upload_discarded_bytes_total',
  help: 'Bytes that arrived and could not be kept when a request failed: clients have to send them again',
}).series();

const checkpointSteps = new BoundHistogram({
  name: 'berth_upload_checkpoint_duration_seconds',
  help: 'Time of a checkpoint: to make bytes durable (storage), and to record them (database)',
  labelNames: ['step'],
  buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10],
});

export const checkpointDurations = {
  storage: checkpointSteps.series('storage'),
  database: checkpointSteps.series('database'),
};

const hashed = new BoundCounter({
  name: 'berth_upload_hashed_bytes_total',
  help: 'Bytes of uploads that were hashed. Bodies of up to 64 KiB are hashed at once, and not in it',
  labelNames: ['algorithm'],
});
const hashing = new BoundCounter({
  name: 'berth_upload_hash_seconds_total',
  help: 'Time for which uploads waited for their hash. Divides the bytes into the throughput of one upload',
  labelNames: ['algorithm'],
});

/** The hash of one algorithm. */
export function hashMetrics(algorithm: string) {
  return { bytes: hashed.series(algorithm), seconds: hashing.series(algorithm) };
}

for (const outcome of UPLOAD_OUTCOMES) uploadsEnded.series(outcome);
for (const reason of UPLOAD_FAILURES) uploadFailures.series(reason);
