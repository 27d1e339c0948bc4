import { Gauge } from 'prom-client';
import { BoundCounter, type CounterSeries } from './bound-counter.js';
import { BoundHistogram, type HistogramSeries } from './bound-histogram.js';
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
  /** Adds what arrived of its body and what left of the response's since the last call. */
  countBytes(received: CounterSeries, sent: CounterSeries): void;
}

/**
 * The requests in progress, each at a number of its own. A Set allocates its table again after a few
 * requests: a GET of a manifest then took 7 % more CPU time, for garbage collection.
 */
const inProgress: (CountedRequest | undefined)[] = [];
const freeNumbers: number[] = [];

beforeScrape(() => {
  for (const request of inProgress) request?.countBytes(received, sent);
  current.set(inProgress.length - freeNumbers.length);
});

/** Returns a number for `requestEnded`. */
export function requestBegan(request: CountedRequest): number {
  const number = freeNumbers.pop() ?? inProgress.length;
  inProgress[number] = request;
  return number;
}

export function requestEnded(
  number: number,
  route: string,
  method: string,
  status: number | 'aborted',
  seconds: number,
): void {
  inProgress[number]?.countBytes(received, sent);
  inProgress[number] = undefined;
  freeNumbers.push(number);
  durationsOf(route, method, status).observe(seconds);
}

/** Those that Berth has handlers for: Node's parser knows 34. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** By route and method, then by status: a request makes no text to find its series. */
const found = new Map<string, Map<string, Map<number | 'aborted', HistogramSeries>>>();

function durationsOf(route: string, method: string, status: number | 'aborted'): HistogramSeries {
  const known = found.get(route)?.get(method)?.get(status);
  if (known !== undefined) return known;
  const series = durations.series(METHODS.has(method) ? method : 'other', route, String(status));
  const ofRoute = found.get(route) ?? new Map<string, Map<number | 'aborted', HistogramSeries>>();
  const ofMethod = ofRoute.get(method) ?? new Map<number | 'aborted', HistogramSeries>();
  found.set(route, ofRoute.set(method, ofMethod.set(status, series)));
  return series;
}
