import type { ParsedResponse } from './response-parser.js';
import { openConnections, type Connection } from './connection.js';
import type { JobResult, PlannedRequest, RequestsJob } from './jobs.js';
import { requestHead } from './request-text.js';
import { Stopwatch } from './stopwatch.js';

interface PreparedRequest extends PlannedRequest {
  readonly bytes: Buffer;
}

/** Sends the requests on all connections, for the time of the job. */
export async function runRequests(job: RequestsJob): Promise<JobResult> {
  const requests = job.requests.map((request) => prepare(job.port, request));
  const connections = await openConnections(job.port, job.connections);
  try {
    const stopwatch = new Stopwatch();
    const next = taker(requests, job, stopwatch);
    await Promise.all(connections.map((connection) => drive(connection, next, stopwatch)));
    return stopwatch.result();
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** Each connection gets a first request, however long that takes. */
function taker(
  requests: readonly PreparedRequest[],
  job: RequestsJob,
  stopwatch: Stopwatch,
): () => PreparedRequest | undefined {
  let taken = 0;
  return () => {
    if (taken >= job.connections && stopwatch.passed(job.seconds)) return undefined;
    if (job.once === true && taken >= requests.length) return undefined;
    return requests[taken++ % requests.length];
  };
}

/** With callbacks: at tens of thousands of requests per second, promises would be half of the work. */
function drive(
  connection: Connection,
  next: () => PreparedRequest | undefined,
  stopwatch: Stopwatch,
): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.onFailure = reject;
    const send = (): void => {
      const request = next();
      if (request === undefined) return resolve();
      const since = performance.now();
      connection.send(request.bytes, request.method === 'HEAD', (response) => {
        stopwatch.record(since);
        stopwatch.bytes += response.bodyBytes;
        const complaint = complaintAbout(request, response);
        if (complaint === undefined) send();
        else reject(new Error(complaint));
      });
    };
    send();
  });
}

function complaintAbout(
  { method, path, status, bodyBytes }: PlannedRequest,
  response: ParsedResponse,
): string | undefined {
  if (response.status !== status) return `${method} ${path} returned ${response.status} instead of ${status}`;
  if (bodyBytes !== undefined && response.bodyBytes !== bodyBytes) {
    return `${method} ${path} returned ${response.bodyBytes} bytes instead of ${bodyBytes}`;
  }
  return undefined;
}

function prepare(port: number, request: PlannedRequest): PreparedRequest {
  const { method, path, headers } = request;
  const length = method === 'POST' ? { 'Content-Length': '0' } : {};
  return {
    ...request,
    bytes: Buffer.from(requestHead(port, method, path, { ...headers, ...length }), 'latin1'),
  };
}
