import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { StorageUnavailableError } from '../../storage.errors.js';
import { GcsRequestError } from './gcs.errors.js';

/**
 * The bytes of an answer, `sizeBytes` of them. A connection that ends earlier, breaks, or is silent for `idleMs` while
 * somebody reads fails it; who reads slowly may. Destroyed, it closes the connection.
 */
export class GcsBody extends Readable {
  private readonly chunks: AsyncIterator<Buffer, undefined>;
  private missingBytes: number;
  private silence: NodeJS.Timeout | undefined;

  constructor(
    private readonly answer: IncomingMessage,
    sizeBytes: number,
    private readonly idleMs: number,
  ) {
    super();
    // It is read by its iterator, which hears of an error also when it begins after that.
    answer.on('error', () => undefined);
    this.missingBytes = sizeBytes;
    this.chunks = (answer as AsyncIterable<Buffer, undefined>)[Symbol.asyncIterator]();
  }

  override _read(): void {
    this.readNext().catch((error: unknown) => this.destroy(broken(error)));
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.silence);
    // Read to its end the connection goes on to serve others; cut off, it is closed.
    this.answer.destroy();
    callback(error);
  }

  private async readNext(): Promise<void> {
    this.silence = setTimeout(() => this.destroy(broken(silent(this.idleMs))), this.idleMs);
    const next = await this.chunks.next();
    clearTimeout(this.silence);
    if (this.destroyed) return;
    if (next.done === true) {
      if (this.missingBytes > 0) throw new GcsRequestError('the answer ended early', undefined, 'ECONNRESET');
      this.push(null);
      return;
    }
    this.missingBytes -= next.value.length;
    if (this.missingBytes < 0) throw new GcsRequestError('the answer is too long', undefined, undefined);
    this.push(next.value);
  }
}

function silent(ms: number): GcsRequestError {
  return new GcsRequestError(`no byte came for ${ms / 1000} s`, undefined, 'ETIMEDOUT');
}

function broken(cause: unknown): StorageUnavailableError {
  return new StorageUnavailableError('the bytes of an object stopped coming', { cause });
}
