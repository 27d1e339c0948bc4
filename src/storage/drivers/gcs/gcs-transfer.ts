import { randomUUID } from 'node:crypto';
import {
  type IncomingMessage,
  type RequestOptions,
  Agent as HttpAgent,
  request as httpRequest,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import type { Body } from '../../object-store/object-store.js';
import type { ByteSpan } from '../../storage-driver.js';
import { GcsBody } from './gcs-body.js';
import { GcsRequestError, reasonOf } from './gcs.errors.js';

/**
 * Connections that are kept for the next request. Their number is bounded by the requests that Berth serves at once, not
 * here: slow readers must not keep uploads waiting for a connection.
 */
const MOST_IDLE_SOCKETS = 256;
const MOST_ERROR_BYTES = 64 * 1024;
export const CONTENT_TYPE = 'application/octet-stream';

export interface GcsTransferOptions {
  readonly endpoint: string;
  readonly bucket: string;
  readonly idleMs: number;
  /** Answers the headers of a credential, from the SDK. */
  readonly authorize: (url: string) => Promise<Record<string, string>>;
}

interface Sent {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Record<string, string | number>;
  readonly chunks: readonly Buffer[];
  readonly signal: AbortSignal;
}

/**
 * The two requests of the JSON API that move bytes. They are not the SDK's (version 7), since its
 * downloads never settle when the connection breaks (its node-fetch doesn't hear of that), leave the socket open when they
 * are destroyed, and since its uploads can't be given up. One attempt each; every failure is a {@link GcsRequestError}
 * or one of Node's.
 */
export class GcsTransfer {
  private readonly agents: { http: HttpAgent; https: HttpsAgent };

  constructor(private readonly options: GcsTransferOptions) {
    const agent = { keepAlive: true, maxFreeSockets: MOST_IDLE_SOCKETS };
    this.agents = { http: new HttpAgent(agent), https: new HttpsAgent(agent) };
  }

  /**
   * A simple upload whose metadata has the MD5, so that the store refuses other bytes.
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
    const condition = generation === undefined ? '' : `&ifGenerationMatch=${generation}`;
    const answer = await this.send({
      method: 'POST',
      url: `${this.options.endpoint}/upload/storage/v1/b/${this.options.bucket}/o?uploadType=multipart${condition}`,
      headers: {
        'content-type': `multipart/related; boundary=${boundary}`,
        'content-length': chunks.reduce((sum, { length }) => sum + length, 0),
      },
      chunks,
      signal,
    });
    // What it says of the object is of no interest, and the connection can be used again.
    answer.on('error', () => undefined).resume();
  }

  /**
   * Ends or fails by itself, whatever the signal does after the first byte of the answer.
   * https://cloud.google.com/storage/docs/json_api/v1/objects/get
   */
  async download(name: string, { start, end }: ByteSpan, signal: AbortSignal): Promise<Readable> {
    const { endpoint, bucket, idleMs } = this.options;
    const answer = await this.send({
      method: 'GET',
      url: `${endpoint}/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}?alt=media`,
      headers: { range: `bytes=${start}-${end}` },
      chunks: [],
      signal,
    });
    // GcsBody looks to it, which knows whether anybody reads.
    answer.setTimeout(0);
    const range = answer.headers['content-range'] ?? '';
    // Anything else would be other bytes than those that were asked for.
    if (answer.statusCode !== 206 || !range.startsWith(`bytes ${start}-${end}/`)) {
      answer.destroy();
      throw new GcsRequestError(
        `bytes ${start}-${end} were asked for, and came as ${range || 'a whole'}`,
        undefined,
        undefined,
      );
    }
    return new GcsBody(answer, end - start + 1, idleMs);
  }

  /** Lets go of connections that nobody uses. */
  close(): void {
    this.agents.http.destroy();
    this.agents.https.destroy();
  }

  private async send(sent: Sent): Promise<IncomingMessage> {
    const headers = { ...(await this.options.authorize(sent.url)), ...sent.headers };
    const answer = await this.answerTo({ ...sent, headers });
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const { message, reason } = await errorOf(answer);
    throw new GcsRequestError(message, status, undefined, reason);
  }

  private async answerTo({ method, url, headers, chunks, signal }: Sent): Promise<IncomingMessage> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const options: RequestOptions = { method, headers, timeout: this.options.idleMs };
      const request = url.startsWith('https:')
        ? httpsRequest(url, { ...options, agent: this.agents.https })
        : httpRequest(url, { ...options, agent: this.agents.http });
      const giveUp = (): void => void request.destroy(signal.reason as Error);
      signal.addEventListener('abort', giveUp, { once: true });
      const settled = (): void => signal.removeEventListener('abort', giveUp);
      request
        .once('response', (answer: IncomingMessage) => {
          settled();
          resolve(answer);
        })
        .once('timeout', () => request.destroy(silentFor(this.options.idleMs)))
        .on('error', (error) => {
          settled();
          reject(error);
        });
      for (const chunk of chunks) request.write(chunk);
      request.end();
    });
  }
}

function silentFor(ms: number): GcsRequestError {
  return new GcsRequestError(`the connection was silent for ${ms / 1000} s`, undefined, 'ETIMEDOUT');
}

/** https://cloud.google.com/storage/docs/json_api/v1/status-codes#sample-response */
async function errorOf(answer: IncomingMessage): Promise<{ message: string; reason?: string | undefined }> {
  let text = '';
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8');
      if (text.length > MOST_ERROR_BYTES) break;
    }
    const { error } = JSON.parse(text) as { error?: { message?: unknown; errors?: unknown } };
    const message = typeof error?.message === 'string' ? error.message : text;
    return { message, reason: reasonOf(error?.errors) };
  } catch {
    // Not Google's: that of a proxy in between, say. The status has to do.
    return { message: text };
  }
}
