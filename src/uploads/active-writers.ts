import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { ShuttingDownError, UploadTakenOverError } from './upload.errors.js';
import type { UploadId } from '../oci/upload-id.js';

/** A request of this process that writes to a session. */
interface ActiveWriter {
  readonly interruption: AbortController;
  readonly finished: Promise<void>;
}

/**
 * The writers of this process, so that a newer request can ask an older one, whose client is most likely gone, to let
 * go, and so that stopping can ask all of them.
 */
@Injectable()
export class ActiveWriters {
  private readonly writers = new Map<UploadId, ActiveWriter>();
  private stopping = false;

  /**
   * Registers a writer that holds the session's lease. `signal` asks it to let go; `done` is to be called when it has.
   *
   * @throws ShuttingDownError when the process is stopping; UploadTakenOverError when another request was quicker.
   */
  register(id: UploadId): { signal: AbortSignal; done: () => void } {
    if (this.stopping) throw new ShuttingDownError();
    if (this.writers.has(id)) throw new UploadTakenOverError();
    const interruption = new AbortController();
    const { promise: finished, resolve } = promiseWithResolvers();
    this.writers.set(id, { interruption, finished });
    const done = () => {
      this.writers.delete(id);
      resolve();
    };
    return { signal: interruption.signal, done };
  }

  /** Asks the session's writer, if it is one of this process, to let go. Settles when it has, or when `patienceMs` is over. */
  async interrupt(id: UploadId, patienceMs: number): Promise<void> {
    const writer = this.writers.get(id);
    if (writer === undefined) return;
    writer.interruption.abort(new UploadTakenOverError());
    const patience = new AbortController();
    const timeout = delay(Math.max(patienceMs, 0), undefined, { signal: patience.signal }).catch(
      () => undefined,
    );
    await Promise.race([writer.finished, timeout]);
    patience.abort();
  }

  /** Asks every writer to checkpoint and let go, and lets no new one begin. Settles when all have let go. */
  async stop(): Promise<void> {
    this.stopping = true;
    const writers = [...this.writers.values()];
    for (const { interruption } of writers) interruption.abort(new ShuttingDownError());
    await Promise.all(writers.map(({ finished }) => finished));
  }
}

/** `Promise.withResolvers` came with Node 22. */
function promiseWithResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
