import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHash } from 'node:crypto';

const PAUSE_MS = 50;

/** A pull whose client reads slowly, a piece at a time, until `finish`. */
export class SlowPull {
  private isSlow = true;
  /** The digest of what was received. */
  private readonly digest: Promise<string>;

  private constructor(response: IncomingMessage) {
    this.digest = this.read(response);
  }

  static async begin(url: URL): Promise<SlowPull> {
    const [response] = (await once(request(url, { agent: false }).end(), 'response')) as [IncomingMessage];
    return new SlowPull(response);
  }

  /** Reads the rest as fast as it comes. Returns the digest. @throws if the response broke. */
  finish(): Promise<string> {
    this.isSlow = false;
    return this.digest;
  }

  private async read(response: IncomingMessage): Promise<string> {
    const hash = createHash('sha256');
    for await (const piece of response) {
      hash.update(piece as Buffer);
      if (this.isSlow) await sleep(PAUSE_MS);
    }
    return `sha256:${hash.digest('hex')}`;
  }
}
