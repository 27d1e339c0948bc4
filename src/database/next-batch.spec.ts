import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NextBatch } from './next-batch.js';

/** Queries that are answered when the test says so. */
function held(limits = { mostKeys: 100, mostQueries: 1, patienceMs: 60_000 }) {
  const queries: {
    keys: readonly string[];
    answer: (values: (string | undefined)[]) => void;
    fail: (error: unknown) => void;
  }[] = [];
  const batch = new NextBatch<string, string>(
    (keys) => new Promise((answer, fail) => queries.push({ keys, answer, fail })),
    (key) => key,
    limits,
  );
  /** The query with this number, once it has been sent. */
  const query = async (number: number) => {
    for (;;) {
      const sent = queries[number];
      if (sent !== undefined) return sent;
      await turn();
    }
  };
  return { queries, query, batch };
}

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
    const { query, batch } = held({ mostKeys: 2, mostQueries: 1, patienceMs: 60_000 });
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

  it('sends another query beside one that is stuck, and never more than it may', async () => {
    const { queries, batch } = held({ mostKeys: 10, mostQueries: 2, patienceMs: 5 });
    const stuck = batch.get('a');
    await turn();
    const second = batch.get('b');
    while (queries.length < 2) await turn();
    const third = batch.get('c');
    const begun = performance.now();
    while (performance.now() - begun < 20) await turn();
    expect(queries.map(({ keys }) => keys)).toEqual([['a'], ['b']]);
    queries[1]?.answer(['B']);
    expect(await second).toBe('B');
    while (queries.length < 3) await turn();
    queries[2]?.answer(['C']);
    queries[0]?.answer(['A']);
    expect(await Promise.all([stuck, third])).toEqual(['A', 'C']);
  });

  it('gives every read what was true at or after its arrival, whatever the order of events', async () => {
    const steps = fc.array(fc.oneof(fc.constant('write'), fc.constant('read'), fc.constant('turn')), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (plan, mostQueries) => {
        let written = 0;
        const batch = new NextBatch<string, number>(
          async (keys) => {
            const seen = written;
            await turn();
            return keys.map(() => seen);
          },
          (key) => key,
          { mostKeys: 5, mostQueries, patienceMs: 0 },
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
