import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { NoQueryInTimeError } from './errors/no-query-in-time.error.js';
import { NextBatch, type NextBatchLimits } from './next-batch.js';

/** Nothing happens by the clock. */
const LIMITS: NextBatchLimits = {
  maxKeys: 100,
  maxQueries: 1,
  patienceMs: 60_000,
  maxWaiting: 1000,
  waitMs: 600_000,
};

/** Queries that are answered when the test says so. */
function held(changed: Partial<NextBatchLimits> = {}) {
  const queries: {
    keys: readonly string[];
    answer: (values: (string | undefined)[]) => void;
    fail: (error: unknown) => void;
  }[] = [];
  const batch = new NextBatch<string, string>(
    (keys) => new Promise((answer, fail) => queries.push({ keys, answer, fail })),
    (key) => key,
    { ...LIMITS, ...changed },
  );
  /** The query with this number, once it has been sent. */
  const query = async (number: number) => {
    for (let turns = 0; turns < 100; turns += 1) {
      const sent = queries[number];
      if (sent !== undefined) return sent;
      await turn();
    }
    throw new Error(`query ${number} was never sent`);
  };
  return { queries, query, batch };
}

/** What became of a read, or that nothing has yet. */
function watched(read: Promise<string | undefined>) {
  const seen: { outcome: unknown } = { outcome: 'waits' };
  read.then(
    (value) => (seen.outcome = value),
    (error: unknown) => (seen.outcome = error),
  );
  return seen;
}

/** What connections fail with that a server has ended. */
const lost = () => new Error('Connection terminated unexpectedly');

const echo = (keys: readonly string[]) => keys.map((key) => `value of ${key}`);

describe('NextBatch', () => {
  it('asks at once for what comes together, once for each key', async () => {
    const { queries, batch } = held();
    const reads = [batch.get('a'), batch.get('b'), batch.get('a')];
    await turn();
    expect(queries.map(({ keys }) => keys)).toEqual([['a', 'b']]);
    queries[0]?.answer(['A', undefined]);
    expect(await Promise.all(reads)).toEqual(['A', undefined, 'A']);
  });

  it('answers no read by a query that had begun before it', async () => {
    const { query, batch } = held();
    const first = batch.get('a');
    const begun = await query(0);
    const second = batch.get('a');
    begun.answer(['old']);
    expect(await first).toBe('old');
    (await query(1)).answer(['new']);
    expect(await second).toBe('new');
  });

  it('asks for the rest in further queries where there are more keys than one may have', async () => {
    const { query, batch } = held({ maxKeys: 2 });
    const reads = ['a', 'b', 'c'].map((key) => batch.get(key));
    for (const [index, keys] of [['a', 'b'], ['c']].entries()) {
      const sent = await query(index);
      expect(sent.keys).toEqual(keys);
      sent.answer(echo(keys));
    }
    expect(await Promise.all(reads)).toEqual(echo(['a', 'b', 'c']));
  });

  it('tells its own readers alone of a failure', async () => {
    const { query, batch } = held();
    const failing = [batch.get('a'), batch.get('b')].map((read) => read.catch((error: unknown) => error));
    const begun = await query(0);
    const later = batch.get('a');
    const reason = new Error('the database is gone');
    begun.fail(reason);
    expect(await Promise.all(failing)).toEqual([reason, reason]);
    (await query(1)).answer(['A']);
    expect(await later).toBe('A');
  });

  it('gives every read what was true at or after its arrival, whatever the order of events', async () => {
    const steps = fc.array(fc.oneof(fc.constant('write'), fc.constant('read'), fc.constant('turn')), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (plan, maxQueries) => {
        let written = 0;
        const batch = new NextBatch<string, number>(
          async (keys) => {
            const seen = written;
            await turn();
            return keys.map(() => seen);
          },
          (key) => key,
          { ...LIMITS, maxKeys: 5, maxQueries, patienceMs: 0 },
        );
        const reads: Promise<void>[] = [];
        for (const step of plan) {
          if (step === 'write') written += 1;
          else if (step === 'turn') await turn();
          else {
            const acknowledged = written;
            reads.push(batch.get('a').then((seen) => expect(seen).toBeGreaterThanOrEqual(acknowledged)));
          }
        }
        await Promise.all(reads);
      }),
    );
  });
});

describe('NextBatch, by the clock', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** So much later, when everything that could happen by then has happened. */
  const later = async (milliseconds: number) => {
    await jest.advanceTimersByTimeAsync(milliseconds);
    for (let n = 0; n < 5; n += 1) await turn();
  };

  it('sends another query beside one that is stuck, when it has had its time, and never more than it may', async () => {
    const { queries, batch } = held({ maxQueries: 2, patienceMs: 25 });
    const sent = () => queries.map(({ keys }) => keys.join());
    void batch.get('a');
    await later(0);
    void batch.get('b');
    await later(24);
    expect(sent()).toEqual(['a']);
    await later(1);
    expect(sent()).toEqual(['a', 'b']);
    void batch.get('c');
    await later(10_000);
    expect(sent()).toEqual(['a', 'b']);
    queries[0]?.answer(['A']);
    await later(0);
    expect(sent()).toEqual(['a', 'b', 'c']);
  });

  it('is as fast beside a query that is stuck as without it', async () => {
    const { queries, batch } = held({ maxQueries: 2, patienceMs: 25 });
    void batch.get('stuck');
    await later(0);
    void batch.get('beside it');
    await later(25);
    queries[1]?.answer(['a value']);
    for (let n = 2; n < 20; n += 1) {
      const read = watched(batch.get(`${n}`));
      await later(0);
      expect(queries[n]?.keys).toEqual([`${n}`]);
      queries[n]?.answer(['a value']);
      await later(0);
      expect(read.outcome).toBe('a value');
    }
  });

  it('leaves the way to a query that has just been sent, though an older one has ended', async () => {
    const { queries, batch } = held({ maxQueries: 3, patienceMs: 25 });
    void batch.get('a');
    await later(0);
    void batch.get('b');
    await later(25);
    void batch.get('c');
    queries[0]?.answer(['A']);
    await later(24);
    expect(queries).toHaveLength(2);
    await later(1);
    expect(queries).toHaveLength(3);
  });

  it('gives up a read for which no query begins in time, and no other', async () => {
    const { queries, batch } = held({ waitMs: 10_000 });
    const stuck = watched(batch.get('a'));
    await later(0);
    const early = watched(batch.get('b'));
    await later(5000);
    const late = [watched(batch.get('b')), watched(batch.get('c'))];
    await later(4999);
    expect(early.outcome).toBe('waits');
    await later(1001);
    expect(early.outcome).toBeInstanceOf(NoQueryInTimeError);
    expect([stuck, ...late].map(({ outcome }) => outcome)).toEqual(['waits', 'waits', 'waits']);
    queries[0]?.answer(['A']);
    await later(0);
    expect(queries[1]?.keys).toEqual(['b', 'c']);
    queries[1]?.answer(['B', 'C']);
    await later(0);
    expect([stuck, ...late].map(({ outcome }) => outcome)).toEqual(['A', 'B', 'C']);
  });

  it('asks for nothing that was given up, and goes on', async () => {
    const { queries, batch } = held({ waitMs: 10_000 });
    void batch.get('a');
    await later(0);
    const givenUp = ['b', 'c', 'b'].map((key) => watched(batch.get(key)));
    await later(11_000);
    for (const { outcome } of givenUp) expect(outcome).toBeInstanceOf(NoQueryInTimeError);
    queries[0]?.answer(['A']);
    await later(0);
    expect(queries).toHaveLength(1);
    const next = watched(batch.get('b'));
    await later(0);
    queries[1]?.answer(['B']);
    await later(0);
    expect(next.outcome).toBe('B');
  });

  it('sends no query for reads that gave up when it was about to be sent', async () => {
    const { queries, batch } = held({ waitMs: 10_000 });
    void batch.get('a');
    await later(0);
    const read = watched(batch.get('b'));
    await later(9_999);
    queries[0]?.answer(['A']);
    await jest.advanceTimersByTimeAsync(1);
    expect(read.outcome).toBeInstanceOf(NoQueryInTimeError);
    await later(0);
    expect(queries).toHaveLength(1);
  });

  it('lets a query that has begun take its time: its end is for the database to set', async () => {
    const { queries, batch } = held({ waitMs: 10_000 });
    const read = watched(batch.get('a'));
    await later(30_000);
    expect(read.outcome).toBe('waits');
    queries[0]?.answer(['A']);
    await later(0);
    expect(read.outcome).toBe('A');
  });

  it('refuses at once what is more than may wait, be it many keys or many readers of one', async () => {
    const { query, batch } = held({ maxWaiting: 3 });
    const stuck = batch.get('a');
    const begun = await query(0);
    const waiting = ['b', 'b', 'c'].map((key) => batch.get(key));
    for (const key of ['b', 'd']) await expect(batch.get(key)).rejects.toThrow(NoQueryInTimeError);
    begun.answer(['A']);
    (await query(1)).answer(['B', 'C']);
    expect(await Promise.all([stuck, ...waiting])).toEqual(['A', 'B', 'B', 'C']);
    const after = ['d', 'e', 'f'].map((key) => batch.get(key));
    const last = await query(2);
    expect(last.keys).toEqual(['d', 'e', 'f']);
    last.answer(echo(last.keys));
    expect(await Promise.all(after)).toEqual(echo(last.keys));
  });

  it('has room again for as many as gave up', async () => {
    const { query, batch } = held({ maxWaiting: 2, waitMs: 10_000 });
    void batch.get('a');
    const begun = await query(0);
    const givenUp = ['b', 'b'].map((key) => watched(batch.get(key)));
    await later(11_000);
    for (const { outcome } of givenUp) expect(outcome).toBeInstanceOf(NoQueryInTimeError);
    const reads = ['c', 'd'].map((key) => batch.get(key));
    begun.answer(['A']);
    (await query(1)).answer(['C', 'D']);
    expect(await Promise.all(reads)).toEqual(['C', 'D']);
  });

  it('asks once more where the connection was lost, and not a third time', async () => {
    const { queries, query, batch } = held();
    const reads = [batch.get('a'), batch.get('b')];
    (await query(0)).fail(lost());
    const again = await query(1);
    expect(again.keys).toEqual(['a', 'b']);
    again.answer(['A', 'B']);
    expect(await Promise.all(reads)).toEqual(['A', 'B']);

    const failing = batch.get('c').catch((error: unknown) => error);
    (await query(2)).fail(lost());
    const reason = lost();
    (await query(3)).fail(reason);
    expect(await failing).toBe(reason);
    expect(queries).toHaveLength(4);
  });

  it('does not ask once more where that could double a long wait', async () => {
    const { queries, query, batch } = held({ waitMs: 10_000 });
    const read = watched(batch.get('a'));
    const begun = await query(0);
    await later(10_000);
    const reason = new Error('Query read timeout');
    begun.fail(reason);
    await later(0);
    expect([read.outcome, queries.length]).toEqual([reason, 1]);
  });
});
