import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteSpan, IoOptions } from '../storage-driver.js';
import { StorageError, StorageUnavailableError } from '../storage.errors.js';
import type { ObjectStore } from './object-store.js';

/** Breaks in a row, without a byte between them, that a read survives. */
const MOST_BREAKS = 4;
const FIRST_PAUSE_MS = 50;

/**
 * Reads a span of an object. A stream that breaks is gone on with by a request for the rest: who reads doesn't notice.
 * The signal governs the first request, and through `untilAborted` the stream; nothing is fetched that nobody takes.
 *
 * @throws ObjectNotFoundError at once, rather than failing the stream later.
 */
export async function readResuming(
  store: ObjectStore,
  name: string,
  span: ByteSpan,
  options: IoOptions,
): Promise<Readable> {
  const source = { current: await store.get(name, span, options), stop: new AbortController() };
  const stream = Readable.from(resumed(store, name, span, source), {
    objectMode: false,
    highWaterMark: 64 * 1024,
  });
  const destroy = stream._destroy.bind(stream);
  // It would wait for the generator, which may be waiting for the store.
  stream._destroy = (error, callback) => {
    source.stop.abort();
    source.current.destroy();
    destroy(error, callback);
  };
  return stream;
}

interface Source {
  current: Readable;
  readonly stop: AbortController;
}

async function* resumed(
  store: ObjectStore,
  name: string,
  { start, end }: ByteSpan,
  source: Source,
): AsyncGenerator<Buffer, void> {
  const { signal } = source.stop;
  let next = start;
  for (let breaks = 0; ; breaks += 1) {
    let failure: unknown = new StorageError(`the store ended ${name} early`);
    try {
      for await (const chunk of source.current as AsyncIterable<Buffer>) {
        breaks = 0;
        next += chunk.length;
        if (next > end + 1) throw new StorageError(`the store answered more of ${name} than was asked for`);
        yield chunk;
      }
      if (next > end) return;
    } catch (error) {
      failure = error;
    } finally {
      source.current.destroy();
    }
    // All of it came; what went wrong after that concerns nobody.
    if (next === end + 1) return;
    signal.throwIfAborted();
    if (next > end || breaks >= MOST_BREAKS) throw broken(name, failure);
    await sleep(FIRST_PAUSE_MS * 2 ** breaks * (0.5 + Math.random()), undefined, { signal });
    source.current = await store.get(name, { start: next, end }, { signal });
  }
}

function broken(name: string, cause: unknown): StorageError {
  return cause instanceof StorageError
    ? cause
    : new StorageUnavailableError(`reading ${name} broke off, again and again`, { cause });
}
