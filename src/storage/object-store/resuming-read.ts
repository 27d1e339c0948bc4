import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteSpan, IoOptions } from '../storage-driver.js';
import { StorageError, StorageUnavailableError } from '../storage.errors.js';
import type { ObjectStore } from './object-store.js';

/** Retries in a row without receiving a byte. */
const MAX_RETRIES = 4;
const FIRST_PAUSE_MS = 50;
/** A stream that delivers no data for this long, while its reader waits for some, is broken. */
export const STALL_MS = 30_000;

/**
 * Reads a span of an object. If the stream breaks or stalls, it resumes with a request for the rest. A reader
 * that is slow breaks nothing. The signal governs the first request, and through `untilAborted` the stream.
 *
 * @throws ObjectNotFoundError at once, instead of failing the stream later.
 */
export async function readResuming(
  store: ObjectStore,
  name: string,
  span: ByteSpan,
  options: IoOptions,
): Promise<Readable> {
  const source = { current: watched(await store.get(name, span, options)), abort: new AbortController() };
  const chunks = resumed(store, name, span, source);
  return new Readable({
    highWaterMark: 64 * 1024,
    read() {
      chunks.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    },
    // Not `Readable.from`: its destroy waits for the generator, which may be waiting for the store.
    destroy(error, callback) {
      source.abort.abort();
      source.current.destroy();
      void chunks.return();
      callback(error);
    },
  });
}

interface Source {
  current: Readable;
  readonly abort: AbortController;
}

/** A stream may fail before its iterator listens. */
function watched(stream: Readable): Readable {
  return stream.on('error', () => undefined);
}

async function* resumed(
  store: ObjectStore,
  name: string,
  { start, end }: ByteSpan,
  source: Source,
): AsyncGenerator<Buffer, void> {
  const { signal } = source.abort;
  let next = start;
  for (let retries = 0; ; retries += 1) {
    let failure: unknown = new StorageUnavailableError(`the store ended ${name} early`);
    let isWaiting = true;
    const timer = setTimeout(() => isWaiting && source.current.destroy(stalled(name)), STALL_MS).unref();
    try {
      for await (const chunk of source.current as AsyncIterable<Buffer>) {
        isWaiting = false;
        retries = 0;
        next += chunk.length;
        if (next > end + 1) throw new StorageError(`the store returned more bytes of ${name} than requested`);
        yield chunk;
        isWaiting = true;
        timer.refresh();
      }
      if (next > end) return;
    } catch (error) {
      failure = error;
    } finally {
      clearTimeout(timer);
      source.current.destroy();
    }
    // All bytes arrived. A failure after the last one does not matter.
    if (next === end + 1) return;
    signal.throwIfAborted();
    if (next > end || retries >= MAX_RETRIES) throw broken(name, failure);
    await sleep(FIRST_PAUSE_MS * 2 ** retries * (0.5 + Math.random()), undefined, { signal });
    source.current = watched(await store.get(name, { start: next, end }, { signal }));
  }
}

function stalled(name: string): StorageError {
  return new StorageUnavailableError(`received no data of ${name} for ${STALL_MS / 1000} s`);
}

function broken(name: string, cause: unknown): StorageError {
  return cause instanceof StorageError
    ? cause
    : new StorageUnavailableError(`the connection broke repeatedly while reading ${name}`, { cause });
}
