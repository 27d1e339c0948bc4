import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { UploadId } from '../../oci/upload-id.js';
import { ShuttingDownError, UploadTakenOverError } from '../upload.errors.js';
import type { Lease } from './upload-session.js';

/** A request of this process that writes to a session. */
interface ActiveWriter {
  readonly version: number;
  readonly interruption: AbortController;
  readonly finished: Promise<void>;
}

/**
 * The writers of this process, so that a newer request can ask an older one, whose client is most likely gone, to let
 * go, and so that stopping can ask all of them. A session has several when one that was fenced hasn't noticed yet.
 */
@Injectable()
export class ActiveWriters {
  private readonly writers = new Map<UploadId, ReadonlySet<ActiveWriter>>();
  private stopping = false;

  /**
   * Registers a writer. `signal` asks it to let go; `done` is to be called when it has.
   *
   * @throws ShuttingDownError when the process is stopping.
   */
  register({ uploadId, version }: Lease): { signal: AbortSignal; done: () => void } {
    if (this.stopping) throw new ShuttingDownError();
    const interruption = new AbortController();
    const { promise: finished, resolve } = promiseWithResolvers();
    const writer = { version, interruption, finished };
    this.writers.set(uploadId, new Set([...this.of(uploadId), writer]));
    const done = () => {
      const others = new Set([...this.of(uploadId)].filter((other) => other !== writer));
      if (others.size > 0) this.writers.set(uploadId, others);
      else this.writers.delete(uploadId);
      resolve();
    };
    return { signal: interruption.signal, done };
  }

  /** Whether a request of this process took the session with that version, and hasn't let go. */
  has(id: UploadId, version: number): boolean {
    return [...this.of(id)].some((writer) => writer.version === version);
  }

  /**
   * Asks those of the session's writers that are of this process, and not newer than `version`, to let go. Settles when
   * they have, or when `patienceMs` is over.
   */
  async interrupt(id: UploadId, version: number, patienceMs: number): Promise<void> {
    const older = [...this.of(id)].filter((writer) => writer.version <= version);
    if (older.length === 0) return;
    for (const { interruption } of older) interruption.abort(new UploadTakenOverError());
    const patience = new AbortController();
    const timeout = delay(Math.max(patienceMs, 0), undefined, { signal: patience.signal }).catch(
      () => undefined,
    );
    await Promise.race([Promise.all(older.map(({ finished }) => finished)), timeout]);
    patience.abort();
  }

  /** Asks every writer to checkpoint and let go, and lets no new one begin. Settles when all have let go. */
  async stop(): Promise<void> {
    this.stopping = true;
    const writers = [...this.writers.values()].flatMap((ofSession) => [...ofSession]);
    for (const { interruption } of writers) interruption.abort(new ShuttingDownError());
    await Promise.all(writers.map(({ finished }) => finished));
  }

  private of(id: UploadId): ReadonlySet<ActiveWriter> {
    return this.writers.get(id) ?? new Set();
  }
}

/** `Promise.withResolvers` came with Node 22. */
function promiseWithResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
