import type { ParsedResponse } from './response-parser.js';
import type { Connection } from './connection.js';
import type { Content } from './content.js';
import type { UploadForm } from './jobs.js';
import { pathOf, requestHead, withQuery } from './request-text.js';

const CHUNK_BYTES = 16 * 1024 * 1024;
const CHUNKED = { 'Transfer-Encoding': 'chunked' };

/** The repository to push to. */
export interface Destination {
  readonly port: number;
  readonly repository: string;
}

/** Pushes one blob in one of the spec's ways. @throws Error on an unexpected response. */
export async function upload(
  connection: Connection,
  { port, repository }: Destination,
  content: Content,
  form: UploadForm,
): Promise<void> {
  const start = `/v2/${repository}/blobs/uploads/`;
  if (form === 'post') return send(connection, port, 'POST', start, content, content.sizeBytes);
  const started = await connection.exchange(requestHead(port, 'POST', start, { 'Content-Length': '0' }));
  let path = pathOf(expectStatus(started, 202, 'the POST of an upload').location);
  const { sizeBytes } = content;
  if (form === 'stream') {
    path = await patch(connection, port, path, CHUNKED, content.chunkedParts());
  } else if (form !== 'put') {
    const step = form === 'chunks' ? CHUNK_BYTES : sizeBytes;
    for (let from = 0; from < sizeBytes; from += step) {
      const to = Math.min(from + step, sizeBytes);
      const headers = {
        'Content-Length': `${to - from}`,
        ...(form === 'chunks' && { 'Content-Range': `${from}-${to - 1}` }),
      };
      path = await patch(connection, port, path, headers, content.parts(from, to));
    }
  }
  await send(connection, port, 'PUT', path, content, form === 'put' ? sizeBytes : 0);
}

/** Sends the request that names the digest, with the first bytes of the content. */
async function send(
  connection: Connection,
  port: number,
  method: 'POST' | 'PUT',
  path: string,
  content: Content,
  bytes: number,
): Promise<void> {
  const target = withQuery(path, `digest=${encodeURIComponent(content.digest)}`);
  const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': `${bytes}` };
  const head = requestHead(port, method, target, headers);
  expectStatus(await connection.exchange(head, content.parts(0, bytes)), 201, `the ${method} of an upload`);
}

async function patch(
  connection: Connection,
  port: number,
  path: string,
  framing: Readonly<Record<string, string>>,
  body: Iterable<Buffer>,
): Promise<string> {
  const headers = { 'Content-Type': 'application/octet-stream', ...framing };
  const response = await connection.exchange(requestHead(port, 'PATCH', path, headers), body);
  return pathOf(expectStatus(response, 202, 'the PATCH of an upload').location);
}

export function expectStatus(response: ParsedResponse, status: number, what: string): ParsedResponse {
  if (response.status !== status) throw new Error(`${what} returned ${response.status} instead of ${status}`);
  return response;
}
