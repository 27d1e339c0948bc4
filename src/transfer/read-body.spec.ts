import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { HEARTBEAT, readBody, type ReadBodyOptions } from './read-body.js';
import { BodySlowError, BodyStalledError } from './body.errors.js';

/** Reads a body without any limit, except those given. */
const readWith = (source: AsyncIterable<Uint8Array>, options: Partial<ReadBodyOptions> = {}) =>
  readBody(source, {
    errorCode: 'BLOB_UPLOAD_INVALID',
    heartbeatMs: 60_000,
    idleTimeoutMs: 60_000,
    minBytesPerSecond: 0,
    signal: new AbortController().signal,
    ...options,
  });

/** A body that yields each item when `feed` gets it. */
function controlledBody() {
  const queue: (Uint8Array | Error | undefined)[] = [];
  let wake: () => void = () => undefined;
  async function* source(): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const next = queue.shift();
      if (next === undefined) return;
      if (next instanceof Error) throw next;
      yield next;
    }
  }
  const feed = (item: Uint8Array | Error | undefined) => {
    queue.push(item);
    wake();
  };
  return { source: source(), feed };
}

async function collect(body: AsyncIterable<Uint8Array | typeof HEARTBEAT>) {
  const items = [];
  for await (const item of body) items.push(item === HEARTBEAT ? 'heartbeat' : Buffer.from(item).toString());
  return items;
}

describe('readBody', () => {
  it('yields the chunks in order', async () => {
    const { source, feed } = controlledBody();
    [Buffer.from('a'), Buffer.from('b'), undefined].forEach(feed);
    expect(await collect(readWith(source))).toEqual(['a', 'b']);
  });

  it('yields a heartbeat earlier if one is due', async () => {
    const { source, feed } = controlledBody();
    let due = performance.now();
    const body = readWith(source, { dueAt: () => due });
    expect((await body.next()).value).toBe(HEARTBEAT);
    due = Infinity;
    const next = body.next();
    feed(Buffer.from('a'));
    expect((await next).value).toEqual(Buffer.from('a'));
    await body.return();
  });

  it('requests no chunk before the caller is done with the last one', async () => {
    let asked = 0;
    const source: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          asked += 1;
          return Promise.resolve({ value: Buffer.from('x'), done: false });
        },
      }),
    };
    const body = readWith(source);
    await body.next();
    expect(asked).toBe(1);
    await body.return();
  });

  it('yields heartbeats while no data comes, then the next chunk', async () => {
    const { source, feed } = controlledBody();
    const body = readWith(source, { heartbeatMs: 5 });
    expect((await body.next()).value).toBe(HEARTBEAT);
    expect((await body.next()).value).toBe(HEARTBEAT);
    feed(Buffer.from('late'));
    let next = await body.next();
    while (next.value === HEARTBEAT) next = await body.next();
    expect(next.value).toEqual(Buffer.from('late'));
    await body.return();
  });

  describe('with a minimum rate', () => {
    /** The time that `readBody` sees: a busy machine has no effect. */
    let clock: number;

    beforeEach(() => {
      clock = 0;
      jest.spyOn(performance, 'now').mockImplementation(() => clock);
    });
    afterEach(() => void jest.restoreAllMocks());

    /** Yields one byte at a time. */
    async function* trickle(bytes: number, everyMs: number): AsyncGenerator<Uint8Array> {
      for (let count = 0; count < bytes; count += 1) {
        // Long enough for heartbeats.
        await delay(2);
        clock += everyMs;
        yield Buffer.of(count);
      }
    }
    const read = async (source: AsyncIterable<Uint8Array>, minBytesPerSecond: number, pauseMs = 0) => {
      let bytes = 0;
      const pulse = { heartbeatMs: 1, idleTimeoutMs: 100 };
      for await (const chunk of readWith(source, { ...pulse, minBytesPerSecond })) {
        bytes += chunk === HEARTBEAT ? 0 : chunk.length;
        clock += pauseMs;
      }
      return bytes;
    };

    it('aborts a slower body', async () => {
      await expect(read(trickle(1_000, 5), 1024)).rejects.toThrow(BodySlowError);
      await expect(read(trickle(1_000, 5), 1024)).rejects.toThrow(
        'fewer than 1024 bytes per second for 0.1 s',
      );
    });

    it('accepts a body that is complete when it proves slow', async () => {
      expect(await read(trickle(2, 60), 1024)).toBe(2);
    });

    it('yields every chunk received before the error', async () => {
      let sent = 0;
      const counted = async function* () {
        for await (const chunk of trickle(1_000, 5)) {
          sent += 1;
          yield chunk;
        }
      };
      let got = 0;
      const body = readWith(counted(), { idleTimeoutMs: 100, minBytesPerSecond: 1024 });
      const all = async () => {
        for await (const _ of body) got += 1;
      };
      await expect(all()).rejects.toThrow(BodySlowError);
      expect(got).toBe(sent);
    });

    it('reads a faster body to its end', async () => {
      expect(await read(trickle(60, 5), 10)).toBe(60);
    });

    it('does not count the time that the caller needs', async () => {
      expect(await read(trickle(20, 0), 1024, 20)).toBe(20);
    });

    it('reads any body if the minimum is 0', async () => {
      expect(await read(trickle(60, 5), 0)).toBe(60);
    });
  });

  it('aborts a stalled body with the code of its caller', async () => {
    const { source } = controlledBody();
    const options = { heartbeatMs: 5, idleTimeoutMs: 20, errorCode: 'MANIFEST_INVALID' } as const;
    const reading = collect(readWith(source, options));
    await expect(reading).rejects.toThrow(BodyStalledError);
    await expect(reading).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });

  it('lets a slow body take longer than the idle timeout while data comes', async () => {
    const { source, feed } = controlledBody();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    const body = readWith(source, { heartbeatMs: 5, idleTimeoutMs: 100 });
    for (const at of [60, 120, 180]) {
      const next = body.next();
      clock.mockReturnValue(at);
      feed(Buffer.from('x'));
      expect((await next).value).toEqual(Buffer.from('x'));
    }
    // 60 ms after the last byte: still within the limit.
    clock.mockReturnValue(240);
    expect((await body.next()).value).toBe(HEARTBEAT);
    clock.mockRestore();
    await body.return();
  });

  it('throws the reason of the signal at once, though no data comes', async () => {
    const { source } = controlledBody();
    const interruption = new AbortController();
    const reading = collect(readWith(source, { signal: interruption.signal }));
    interruption.abort(new Error('taken over'));
    await expect(reading).rejects.toThrow('taken over');
  });

  it('reads nothing if the signal was aborted before', async () => {
    const { source, feed } = controlledBody();
    feed(Buffer.from('a'));
    const reading = collect(readWith(source, { signal: AbortSignal.abort(new Error('taken over')) }));
    await expect(reading).rejects.toThrow('taken over');
  });

  it('reports a closed connection, with its cause and the code of its caller', async () => {
    const { source, feed } = controlledBody();
    feed(Buffer.from('a'));
    feed(new Error('aborted'));
    await expect(collect(readWith(source, { errorCode: 'MANIFEST_INVALID' }))).rejects.toMatchObject({
      name: 'BodyBrokenError',
      code: 'MANIFEST_INVALID',
      cause: { message: 'aborted' },
    });
  });
});
