import { Gauge } from 'prom-client';
import { BoundCounter } from './bound-counter.js';
import { registry } from './registry.js';

export const frontReplicas = new Gauge({
  name: 'berth_front_replicas',
  help:
    'Replicas by the last probe. unready: it responds, and cannot serve now. closed: nothing listens, ' +
    'because it has ended or is stopping. silent: it does not respond, because it is frozen or cut off',
  labelNames: ['state'],
  aggregator: 'max',
  registers: [registry],
});

export const frontUploads = new Gauge({
  name: 'berth_front_uploads_in_progress',
  help: 'Uploads whose bytes a front carries to replicas at this moment',
  registers: [registry],
});

export const carriedUploads = new BoundCounter({
  name: 'berth_front_uploads_total',
  help: 'Uploads that a front has carried',
}).series();

export const frontRetries = new BoundCounter({
  name: 'berth_front_retries_total',
  help: 'Attempts at a replica that failed, and after which the front tried again',
}).series();

export const frontGivenUp = new BoundCounter({
  name: 'berth_front_given_up_total',
  help: 'Requests that made no progress for FRONT_RETRY_SECONDS, and got an error',
}).series();

export const frontBufferUsed = new Gauge({
  name: 'berth_front_buffer_used_bytes',
  help: 'Memory in use for bytes that are not durable yet: of streamed uploads, or of whole bodies',
  labelNames: ['of'],
  registers: [registry],
});

export const frontBufferLimit = new Gauge({
  name: 'berth_front_buffer_limit_bytes',
  help: 'The limit of that memory: FRONT_BUFFER_BYTES of each process',
  labelNames: ['of'],
  registers: [registry],
});
