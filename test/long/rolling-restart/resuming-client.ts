import { setTimeout as delay } from 'node:timers/promises';
import { digestOf, withDigest } from '../../support/registry-client.js';
import { type ProxiedClient, RequestFailure } from './proxied-client.js';

const PIECE_BYTES = 16 * 1024;
/** An upload is interrupted once per restart of its replica. */
const ATTEMPTS = 20;

/** Uploads one blob slowly. After an interruption it goes on at the durable offset, as curl and regclient. */
export class ResumingClient {
  constructor(
    private readonly client: ProxiedClient,
    private readonly bytesPerSecond: number,
  ) {}

  async push(repository: string, bytes: Buffer): Promise<string> {
    const digest = digestOf(bytes);
    const begun = await this.client.expect(202, 'POST', `/v2/${repository}/blobs/uploads/`);
    let location = String(begun.headers.location);
    for (let attempt = 1, start = 0; ; attempt += 1) {
      let end = start;
      const body = this.paced(bytes.subarray(start), (count) => (end += count));
      try {
        const { headers } = await this.client.expect(202, 'PATCH', location, { body });
        await this.client.expect(201, 'PUT', withDigest(String(headers.location), digest));
        this.client.figures.bytesSent += end - start;
        return `/v2/${repository}/blobs/${digest}`;
      } catch (error) {
        if (!(error instanceof RequestFailure) || attempt === ATTEMPTS) throw error;
        this.client.figures.retry(`the rest of an upload (${error.message})`);
        this.client.figures.bytesSent += end - start;
      }
      ({ location, start } = await this.status(location));
      this.client.figures.resumed += 1;
      this.client.figures.sentAgain(end - start);
    }
  }

  private async status(location: string): Promise<{ location: string; start: number }> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { headers } = await this.client.expect(204, 'GET', location);
        const last = Number(/^0-(\d+)$/.exec(String(headers.range))?.[1]);
        return { location: String(headers.location), start: last === 0 ? 0 : last + 1 };
      } catch (error) {
        if (!(error instanceof RequestFailure) || attempt === ATTEMPTS) throw error;
        this.client.figures.retry(error.message);
        await delay(200);
      }
    }
  }

  private async *paced(bytes: Buffer, onSent: (count: number) => void): AsyncGenerator<Buffer, void> {
    const pauseMs = (1_000 * PIECE_BYTES) / this.bytesPerSecond;
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      const piece = bytes.subarray(start, start + PIECE_BYTES);
      onSent(piece.length);
      yield piece;
      await delay(pauseMs);
    }
  }
}
