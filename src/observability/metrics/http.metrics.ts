import { Gauge } from 'prom-client';
import { BoundCounter } from './bound-counter.js';
import { BoundHistogram } from './bound-histogram.js';
import { beforeScrape, registry } from './registry.js';

const durations = new BoundHistogram({
  name: 'berth_http_request_duration_seconds',
  help:
    'Time from the headers of a request to the end of its response, by the pattern of its path (none: no ' +
    'handler). The status is that of the response; aborted: the client disconnected before its end',
  labelNames: ['method', 'route', 'status'],
  buckets: [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300],
});

const received = new BoundCounter({
  name: 'berth_http_received_bytes_total',
  help: 'Bytes of request bodies, also of requests in progress',
}).series();

const sent = new BoundCounter({
  name: 'berth_http_sent_bytes_total',
  help: 'Bytes of response bodies, also of responses in progress. Redirected downloads are not in it',
}).series();

const current = new Gauge({
  name: 'berth_http_requests_in_progress',
  help: 'Requests whose responses are not complete',
  registers: [registry],
});

/** Input that never became a request: malformed, or plain HTTP on a port with TLS. */
export const malformedRequests = new BoundCounter({
  name: 'berth_http_malformed_requests_total',
  help: 'Input on connections that is no HTTP request',
}).series();

export const failedHandshakes = new BoundCounter({
  name: 'berth_tls_handshake_failures_total',
  help: 'TLS handshakes that failed, mostly of clients that do not trust the certificate',
}).series();

/** The end of the certificate in use. */
export const certificateEnd = new Gauge({
  name: 'berth_tls_certificate_expiry_timestamp_seconds',
  help: 'When the certificate of the server expires, as a Unix time. Absent without TLS',
  aggregator: 'min',
  registers: [registry],
});

// Not 0, which prom-client begins with.
certificateEnd.remove();

/** A request in progress, whose bytes are counted while they move: a layer may take an hour. */
export interface CountedRequest {
  /** How many bytes of its body arrived, and how many of the response's left, since the last call. */
  moved(): { readonly received: number; readonly sent: number };
}

const inProgress = new Set<CountedRequest>();

beforeScrape(() => {
  for (const request of inProgress) countBytes(request);
  current.set(inProgress.size);
});

export function requestBegan(request: CountedRequest): void {
  inProgress.add(request);
}

export function requestEnded(
  request: CountedRequest,
  { method, route, status, seconds }: { method: string; route: string; status: string; seconds: number },
): void {
  inProgress.delete(request);
  countBytes(request);
  durations.series(METHODS.has(method) ? method : 'other', route, status).observe(seconds);
}

/** Those that Berth has handlers for: Node's parser knows 34. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function countBytes(request: CountedRequest): void {
  const moved = request.moved();
  received.inc(moved.received);
  sent.inc(moved.sent);
}
