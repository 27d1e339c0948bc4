import { Transform, type TransformCallback } from 'node:stream';
import { TimeLimitError } from '../../object-store/time-limit.js';
import type { StorageError } from '../../storage.errors.js';

/**
 * The bytes of a download on their way to whoever reads them. Fails when they end early or stop coming, with an error
 * of the driver's; that nobody reads for a while is no reason to.
 */
export class GuardedBody extends Transform {
  private timer: NodeJS.Timeout | undefined;
  private idleRounds = 0;

  constructor(
    private bytesLeft: number,
    private readonly idleMs: number,
    private readonly failureOf: (error: unknown) => StorageError,
  ) {
    super();
    this.timer = setInterval(() => this.lookWhetherIdle(), idleMs).unref();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.idleRounds = 0;
    this.bytesLeft -= chunk.length;
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    done(this.bytesLeft === 0 ? null : new Error(`the bytes ended ${this.bytesLeft} before their end`));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.timer);
    done(error && this.failureOf(error));
  }

  /** A whole round without a byte, while none lay here to be read. */
  private lookWhetherIdle(): void {
    this.idleRounds = this.readableLength > 0 || this.writableFinished ? 0 : this.idleRounds + 1;
    if (this.idleRounds > 1) this.destroy(new TimeLimitError(this.idleMs));
  }
}
