import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { settlesWithin } from '../../common/settles-within.js';
import { beforeScrape } from '../../observability/metrics/registry.js';
import { uploadsWriting } from '../../observability/metrics/upload.metrics.js';
import type { UploadId } from '../../oci/upload-id.js';
import { ShuttingDownError, UploadTakenOverError } from '../upload.errors.js';
import type { Lease } from './upload-session.js';

/** A request of this process that writes to a session. */
interface ActiveWriter {
  readonly version: number;
  readonly abort: AbortController;
  readonly finished: Promise<void>;
}

/**
 * The writers of this process. A newer request interrupts an older one, whose client has usually
 * disconnected; and a process that stops interrupts all of them. A session has several writers while a fenced
 * one hasn't noticed it yet.
 */
@Injectable()
export class ActiveWriters implements OnModuleDestroy {
  private readonly writers = new Map<UploadId, ReadonlySet<ActiveWriter>>();
  private stopping = false;
  private readonly stopMeasuring = beforeScrape(() => uploadsWriting.set(this.count));

  /**
   * Registers a writer. `signal` asks it to release the session; it calls `done` when it has.
   *
   * @throws ShuttingDownError when the process is stopping.
   */
  register({ uploadId, version }: Lease): { signal: AbortSignal; done: () => void } {
    if (this.stopping) throw new ShuttingDownError();
    const abort = new AbortController();
    const { promise: finished, resolve } = promiseWithResolvers();
    const writer = { version, abort, finished };
    this.writers.set(uploadId, new Set([...this.of(uploadId), writer]));
    const done = () => {
      const others = new Set([...this.of(uploadId)].filter((other) => other !== writer));
      if (others.size > 0) this.writers.set(uploadId, others);
      else this.writers.delete(uploadId);
      resolve();
    };
    return { signal: abort.signal, done };
  }

  /** The number of sessions that are being written. */
  get count(): number {
    return this.writers.size;
  }

  /** Whether a request of this process holds the session with that version. */
  has(id: UploadId, version: number): boolean {
    return [...this.of(id)].some((writer) => writer.version === version);
  }

  /**
   * Asks this process's writers of the session, up to `version`, to release it. Settles when they have, or
   * after
   * `timeoutMs`.
   */
  async interrupt(id: UploadId, version: number, timeoutMs: number): Promise<void> {
    const older = [...this.of(id)].filter((writer) => writer.version <= version);
    if (older.length === 0) return;
    for (const { abort } of older) abort.abort(new UploadTakenOverError());
    await settlesWithin(Promise.all(older.map(({ finished }) => finished)), timeoutMs);
  }

  /**
   * Asks every writer to checkpoint and release its session, and refuses new ones. Settles when all have
   * finished.
   */
  async stop(): Promise<void> {
    this.stopping = true;
    const writers = [...this.writers.values()].flatMap((ofSession) => [...ofSession]);
    for (const { abort } of writers) abort.abort(new ShuttingDownError());
    await Promise.all(writers.map(({ finished }) => finished));
  }

  onModuleDestroy(): void {
    this.stopMeasuring();
  }

  private of(id: UploadId): ReadonlySet<ActiveWriter> {
    return this.writers.get(id) ?? new Set();
  }
}

/** `Promise.withResolvers` needs Node 22. */
function promiseWithResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
