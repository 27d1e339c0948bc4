import { randomUUID } from 'node:crypto';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import type { Body } from '../../object-store/object-store.js';
import type { ByteSpan } from '../../storage-driver.js';
import { GcsRequestError, reasonOf } from './gcs.errors.js';

const MAX_ERROR_BYTES = 64 * 1024;
export const CONTENT_TYPE = 'application/octet-stream';

export interface GcsTransferOptions {
  readonly endpoint: string;
  readonly bucket: string;
  readonly idleMs: number;
  /** Returns the headers of a credential, from the SDK. */
  readonly authorize: (url: string) => Promise<Record<string, string>>;
}

interface Request {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Record<string, string | number>;
  readonly chunks: readonly Buffer[];
  readonly signal: AbortSignal;
}

/**
 * The two requests of the JSON API that transfer bytes. Not the SDK's (version 7): its downloads never settle
 * if the connection breaks (its node-fetch does not notice) and keep the socket open when they are destroyed,
 * and its uploads can't be aborted. One attempt each. Every error is a {@link GcsRequestError} or one of
 * Node's.
 *
 * Connections are not limited here but by the number of requests that Berth serves at once. Slow readers
 * would otherwise keep uploads waiting for a connection.
 */
export class GcsTransfer {
  private readonly agent: HttpAgent;

  constructor(private readonly options: GcsTransferOptions) {
    const agentOptions = { keepAlive: true };
    this.agent = isHttps(options.endpoint) ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
  }

  /**
   * Uploads an object with its MD5, so that the store refuses other bytes.
   * https://cloud.google.com/storage/docs/json_api/v1/objects/insert
   */
  async upload(name: string, { bytes, md5 }: Body, signal: AbortSignal, generation?: number): Promise<void> {
    const boundary = `berth-${randomUUID()}`;
    const metadata = JSON.stringify({ name, contentType: CONTENT_TYPE, md5Hash: md5 });
    const chunks = [
      Buffer.from(
        `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${metadata}\r\n` +
          `--${boundary}\r\nContent-Type: ${CONTENT_TYPE}\r\n\r\n`,
      ),
      bytes,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ];
    const { endpoint, bucket } = this.options;
    const condition = generation === undefined ? '' : `&ifGenerationMatch=${generation}`;
    const response = await this.send({
      method: 'POST',
      url: `${endpoint}/upload/storage/v1/b/${bucket}/o?uploadType=multipart${condition}`,
      headers: {
        'content-type': `multipart/related; boundary=${boundary}`,
        'content-length': chunks.reduce((sum, { length }) => sum + length, 0),
      },
      chunks,
      signal,
    });
    // Read the body, which is not needed, so that the connection can be reused.
    response.on('error', () => undefined).resume();
  }

  /**
   * The signal governs the request until the response headers arrive, not the stream.
   * https://cloud.google.com/storage/docs/json_api/v1/objects/get
   */
  async download(name: string, { start, end }: ByteSpan, signal: AbortSignal): Promise<Readable> {
    const { endpoint, bucket } = this.options;
    const response = await this.send({
      method: 'GET',
      url: `${endpoint}/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}?alt=media`,
      headers: { range: `bytes=${start}-${end}` },
      chunks: [],
      signal,
    });
    // The reader may be slow. `readResuming` has a timeout for the store.
    response.on('error', () => undefined).setTimeout(0);
    const range = response.headers['content-range'] ?? '';
    if (response.statusCode === 206 && range.startsWith(`bytes ${start}-${end}/`)) return response;
    response.destroy();
    throw new GcsRequestError(
      `requested bytes ${start}-${end}, received ${range || 'the whole object'}`,
      undefined,
      undefined,
    );
  }

  /** Closes idle connections. */
  close(): void {
    this.agent.destroy();
  }

  private async send(request: Request): Promise<IncomingMessage> {
    const headers = { ...(await this.options.authorize(request.url)), ...request.headers };
    const response = await this.exchange({ ...request, headers });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const { message, reason } = await errorOf(response);
    throw new GcsRequestError(message, status, undefined, reason);
  }

  /** Settles when the response headers arrive. */
  private async exchange({ method, url, headers, chunks, signal }: Request): Promise<IncomingMessage> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const { idleMs } = this.options;
      const send = isHttps(url) ? httpsRequest : httpRequest;
      const request = send(url, { method, headers, timeout: idleMs, agent: this.agent });
      const onAbort = (): void => void request.destroy(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      const stopListening = (): void => signal.removeEventListener('abort', onAbort);
      request
        .once('response', (response: IncomingMessage) => {
          stopListening();
          resolve(response);
        })
        .once('timeout', () => request.destroy(idleFor(idleMs)))
        .on('error', (error) => {
          stopListening();
          reject(error);
        });
      for (const chunk of chunks) request.write(chunk);
      request.end();
    });
  }
}

function isHttps(url: string): boolean {
  return url.startsWith('https:');
}

function idleFor(ms: number): GcsRequestError {
  return new GcsRequestError(`the connection was idle for ${ms / 1000} s`, undefined, 'ETIMEDOUT');
}

/** https://cloud.google.com/storage/docs/json_api/v1/status-codes#sample-response */
async function errorOf(response: IncomingMessage): Promise<{ message: string; reason?: string | undefined }> {
  let text = '';
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8');
      if (text.length > MAX_ERROR_BYTES) break;
    }
    const { error } = JSON.parse(text) as { error?: { message?: unknown; errors?: unknown } };
    const message = typeof error?.message === 'string' ? error.message : text;
    return { message, reason: reasonOf(error?.errors) };
  } catch {
    // Not Google's response but a proxy's. The status is enough.
    return { message: text };
  }
}
