import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { HEARTBEAT, readBody } from './read-body.js';
import { BodyIdleError, BodySlowError } from './body.errors.js';

const never = () => new AbortController().signal;

/** A body that yields what `feed` is given, when it is given it. */
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
    expect(
      await collect(
        readBody(source, { heartbeatMs: 1000, idleTimeoutMs: 1000, minBytesPerSecond: 0, signal: never() }),
      ),
    ).toEqual(['a', 'b']);
  });

  it('asks for no chunk before the last one has been dealt with', async () => {
    let asked = 0;
    const source: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          asked += 1;
          return Promise.resolve({ value: Buffer.from('x'), done: false });
        },
      }),
    };
    const body = readBody(source, {
      heartbeatMs: 1000,
      idleTimeoutMs: 1000,
      minBytesPerSecond: 0,
      signal: never(),
    });
    await body.next();
    expect(asked).toBe(1);
    await body.return();
  });

  it('beats while nothing comes, and goes on when something does', async () => {
    const { source, feed } = controlledBody();
    const body = readBody(source, {
      heartbeatMs: 5,
      idleTimeoutMs: 60_000,
      minBytesPerSecond: 0,
      signal: never(),
    });
    expect((await body.next()).value).toBe(HEARTBEAT);
    expect((await body.next()).value).toBe(HEARTBEAT);
    feed(Buffer.from('late'));
    let next = await body.next();
    while (next.value === HEARTBEAT) next = await body.next();
    expect(next.value).toEqual(Buffer.from('late'));
    await body.return();
  });

  describe('of a body that has to move at a rate', () => {
    /** A byte at a time. */
    async function* trickle(bytes: number, everyMs: number): AsyncGenerator<Uint8Array> {
      for (let count = 0; count < bytes; count += 1) {
        if (everyMs > 0) await delay(everyMs);
        yield Buffer.of(count);
      }
    }
    const read = async (source: AsyncIterable<Uint8Array>, minBytesPerSecond: number, pauseMs = 0) => {
      let bytes = 0;
      const pulse = { heartbeatMs: 10, idleTimeoutMs: 100, signal: never() };
      for await (const chunk of readBody(source, { ...pulse, minBytesPerSecond })) {
        if (chunk === HEARTBEAT) continue;
        bytes += chunk.length;
        if (pauseMs > 0) await delay(pauseMs);
      }
      return bytes;
    };

    it('gives up one that is slower', async () => {
      await expect(read(trickle(1_000, 5), 1024)).rejects.toThrow(BodySlowError);
      await expect(read(trickle(1_000, 5), 1024)).rejects.toThrow(
        'fewer than 1024 bytes per second for 0.1 s',
      );
    });

    it('takes one that is complete when its slowness shows', async () => {
      const pulse = { heartbeatMs: 1000, idleTimeoutMs: 100, signal: never() };
      let got = 0;
      for await (const _ of readBody(trickle(2, 60), { ...pulse, minBytesPerSecond: 1024 })) got += 1;
      expect(got).toBe(2);
    });

    it('hands over all that came before', async () => {
      let sent = 0;
      const counted = async function* () {
        for await (const chunk of trickle(1_000, 5)) {
          sent += 1;
          yield chunk;
        }
      };
      let got = 0;
      const body = readBody(counted(), {
        heartbeatMs: 1000,
        idleTimeoutMs: 100,
        minBytesPerSecond: 1024,
        signal: never(),
      });
      const all = async () => {
        for await (const _ of body) got += 1;
      };
      await expect(all()).rejects.toThrow(BodySlowError);
      expect(got).toBe(sent);
    });

    it('goes on with one that is faster', async () => {
      expect(await read(trickle(60, 5), 10)).toBe(60);
    });

    it('does not count the time of whoever reads', async () => {
      expect(await read(trickle(20, 0), 1024, 20)).toBe(20);
    });

    it('goes on with any where the minimum is 0', async () => {
      expect(await read(trickle(60, 5), 0)).toBe(60);
    });
  });

  it('gives up a body that stands still', async () => {
    const { source } = controlledBody();
    await expect(
      collect(readBody(source, { heartbeatMs: 5, idleTimeoutMs: 20, minBytesPerSecond: 0, signal: never() })),
    ).rejects.toThrow(BodyIdleError);
  });

  it('lets a slow body take longer than the idle timeout, as long as it moves', async () => {
    const { source, feed } = controlledBody();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    const body = readBody(source, {
      heartbeatMs: 5,
      idleTimeoutMs: 100,
      minBytesPerSecond: 0,
      signal: never(),
    });
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

  it('ends at once with the reason of the signal, though the client sends nothing', async () => {
    const { source } = controlledBody();
    const interruption = new AbortController();
    const reading = collect(
      readBody(source, {
        heartbeatMs: 60_000,
        idleTimeoutMs: 60_000,
        minBytesPerSecond: 0,
        signal: interruption.signal,
      }),
    );
    interruption.abort(new Error('taken over'));
    await expect(reading).rejects.toThrow('taken over');
  });

  it('reads nothing when it was interrupted before', async () => {
    const { source, feed } = controlledBody();
    feed(Buffer.from('a'));
    const reading = collect(
      readBody(source, {
        heartbeatMs: 1000,
        idleTimeoutMs: 1000,
        minBytesPerSecond: 0,
        signal: AbortSignal.abort(new Error('taken over')),
      }),
    );
    await expect(reading).rejects.toThrow('taken over');
  });

  it('passes on what the client broke off with', async () => {
    const { source, feed } = controlledBody();
    feed(Buffer.from('a'));
    feed(new Error('aborted'));
    await expect(
      collect(
        readBody(source, { heartbeatMs: 1000, idleTimeoutMs: 1000, minBytesPerSecond: 0, signal: never() }),
      ),
    ).rejects.toMatchObject({ name: 'BodyBrokenError', cause: { message: 'aborted' } });
  });
});
