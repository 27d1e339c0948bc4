import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { BATCH_LIMITS, type BatchLimits, BatchLoader } from './batch-loader.js';
import { NoQueryInTimeError } from './errors/no-query-in-time.error.js';

/** No timer fires. */
const LIMITS: BatchLimits = {
  maxBatchSize: 100,
  maxQueries: 1,
  slowQueryMs: 60_000,
  maxWaiting: 1000,
  waitMs: 600_000,
};

interface Query {
  readonly keys: readonly string[];
  readonly resolve: (values: (string | undefined)[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A loader whose queries the test resolves. */
function loaderWith(limits: Partial<BatchLimits> = {}) {
  const queries: Query[] = [];
  const loader = new BatchLoader<string, string>(
    (keys) => new Promise((resolve, reject) => queries.push({ keys, resolve, reject })),
    (key) => key,
    { ...LIMITS, ...limits },
  );
  /** The query with this index, as soon as it was sent. */
  const query = async (index: number) => {
    for (let turns = 0; turns < 100; turns += 1) {
      const sent = queries[index];
      if (sent !== undefined) return sent;
      await turn();
    }
    throw new Error(`query ${index} was never sent`);
  };
  return { queries, query, loader };
}

/** Records the result of a read. */
function watch(read: Promise<string | undefined>) {
  const seen: { result: unknown } = { result: 'pending' };
  read.then(
    (value) => (seen.result = value),
    (error: unknown) => (seen.result = error),
  );
  return seen;
}

/** How connections fail when the server ends. */
const connectionLost = () => new Error('Connection terminated unexpectedly');

const valuesOf = (keys: readonly string[]) => keys.map((key) => `value of ${key}`);

describe('BatchLoader', () => {
  it('sends one query for reads that arrive together, with each key once', async () => {
    const { queries, loader } = loaderWith();
    const reads = [loader.load('a'), loader.load('b'), loader.load('a')];
    await turn();
    expect(queries.map(({ keys }) => keys)).toEqual([['a', 'b']]);
    queries[0]?.resolve(['A', undefined]);
    expect(await Promise.all(reads)).toEqual(['A', undefined, 'A']);
  });

  it('needs one query for any number of reads of one key', async () => {
    let queries = 0;
    const query = async (keys: readonly string[]) => {
      queries += 1;
      await turn();
      return keys;
    };
    const loader = new BatchLoader<string, string>(query, (key) => key, { ...BATCH_LIMITS, maxBatchSize: 4 });
    const values = await Promise.all(Array.from({ length: 100 }, () => loader.load('a')));
    expect(new Set(values)).toEqual(new Set(['a']));
    expect(queries).toBe(1);
  });

  it('does not add a read to a query that has started', async () => {
    const { query, loader } = loaderWith();
    const first = loader.load('a');
    const started = await query(0);
    const second = loader.load('a');
    started.resolve(['old']);
    expect(await first).toBe('old');
    (await query(1)).resolve(['new']);
    expect(await second).toBe('new');
  });

  it('splits reads into queries of the maximum batch size', async () => {
    const { query, loader } = loaderWith({ maxBatchSize: 2 });
    const reads = ['a', 'b', 'c'].map((key) => loader.load(key));
    for (const [index, keys] of [['a', 'b'], ['c']].entries()) {
      const sent = await query(index);
      expect(sent.keys).toEqual(keys);
      sent.resolve(valuesOf(keys));
    }
    expect(await Promise.all(reads)).toEqual(valuesOf(['a', 'b', 'c']));
  });

  it('rejects only the reads of a query that failed', async () => {
    const { query, loader } = loaderWith();
    const failing = [loader.load('a'), loader.load('b')].map((read) => read.catch((error: unknown) => error));
    const started = await query(0);
    const later = loader.load('a');
    const reason = new Error('syntax error');
    started.reject(reason);
    expect(await Promise.all(failing)).toEqual([reason, reason]);
    (await query(1)).resolve(['A']);
    expect(await later).toBe('A');
  });

  it('returns a value at least as new as the read, for any order of events', async () => {
    const steps = fc.array(fc.oneof(fc.constant('write'), fc.constant('read'), fc.constant('turn')), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (plan, maxQueries) => {
        let written = 0;
        const loader = new BatchLoader<string, number>(
          async (keys) => {
            const seen = written;
            await turn();
            return keys.map(() => seen);
          },
          (key) => key,
          { ...LIMITS, maxBatchSize: 5, maxQueries, slowQueryMs: 0 },
        );
        const reads: Promise<void>[] = [];
        for (const step of plan) {
          if (step === 'write') written += 1;
          else if (step === 'turn') await turn();
          else {
            const acknowledged = written;
            reads.push(loader.load('a').then((seen) => expect(seen).toBeGreaterThanOrEqual(acknowledged)));
          }
        }
        await Promise.all(reads);
      }),
    );
  });
});

describe('BatchLoader with timers', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** Advances the clock, then lets everything happen that can happen by then. */
  const advance = async (milliseconds: number) => {
    await jest.advanceTimersByTimeAsync(milliseconds);
    for (let n = 0; n < 5; n += 1) await turn();
  };

  it('sends another query beside a slow one, up to the maximum number of queries', async () => {
    const { queries, loader } = loaderWith({ maxQueries: 2, slowQueryMs: 25 });
    const sent = () => queries.map(({ keys }) => keys.join());
    void loader.load('a');
    await advance(0);
    void loader.load('b');
    await advance(24);
    expect(sent()).toEqual(['a']);
    await advance(1);
    expect(sent()).toEqual(['a', 'b']);
    void loader.load('c');
    await advance(10_000);
    expect(sent()).toEqual(['a', 'b']);
    queries[0]?.resolve(['A']);
    await advance(0);
    expect(sent()).toEqual(['a', 'b', 'c']);
  });

  it('is as fast beside a slow query as without it', async () => {
    const { queries, loader } = loaderWith({ maxQueries: 2, slowQueryMs: 25 });
    void loader.load('slow');
    await advance(0);
    void loader.load('beside it');
    await advance(25);
    queries[1]?.resolve(['a value']);
    for (let n = 2; n < 20; n += 1) {
      const read = watch(loader.load(`${n}`));
      await advance(0);
      expect(queries[n]?.keys).toEqual([`${n}`]);
      queries[n]?.resolve(['a value']);
      await advance(0);
      expect(read.result).toBe('a value');
    }
  });

  it('waits for the latest query though an older one has ended', async () => {
    const { queries, loader } = loaderWith({ maxQueries: 3, slowQueryMs: 25 });
    void loader.load('a');
    await advance(0);
    void loader.load('b');
    await advance(25);
    void loader.load('c');
    queries[0]?.resolve(['A']);
    await advance(24);
    expect(queries).toHaveLength(2);
    await advance(1);
    expect(queries).toHaveLength(3);
  });

  it('rejects a batch whose query does not start in time, and no other', async () => {
    const { queries, loader } = loaderWith({ maxBatchSize: 1, waitMs: 10_000 });
    const running = watch(loader.load('a'));
    await advance(0);
    const early = watch(loader.load('b'));
    await advance(5000);
    const late = watch(loader.load('c'));
    await advance(4999);
    expect(early.result).toBe('pending');
    await advance(1);
    expect(early.result).toBeInstanceOf(NoQueryInTimeError);
    expect([running.result, late.result]).toEqual(['pending', 'pending']);
    queries[0]?.resolve(['A']);
    await advance(0);
    expect(queries[1]?.keys).toEqual(['c']);
    queries[1]?.resolve(['C']);
    await advance(0);
    expect([running.result, late.result]).toEqual(['A', 'C']);
  });

  it('sends no query for rejected reads, and accepts later ones', async () => {
    const { queries, loader } = loaderWith({ waitMs: 10_000 });
    void loader.load('a');
    await advance(0);
    const rejected = ['b', 'c', 'b'].map((key) => watch(loader.load(key)));
    await advance(10_000);
    for (const { result } of rejected) expect(result).toBeInstanceOf(NoQueryInTimeError);
    queries[0]?.resolve(['A']);
    await advance(0);
    expect(queries).toHaveLength(1);
    const next = watch(loader.load('b'));
    await advance(0);
    queries[1]?.resolve(['B']);
    await advance(0);
    expect(next.result).toBe('B');
  });

  it('leaves the timeout of a query that has started to the database', async () => {
    const { queries, loader } = loaderWith({ waitMs: 10_000 });
    const read = watch(loader.load('a'));
    await advance(30_000);
    expect(read.result).toBe('pending');
    queries[0]?.resolve(['A']);
    await advance(0);
    expect(read.result).toBe('A');
  });

  it('rejects reads beyond the maximum number at once, for many keys and for one', async () => {
    const { query, loader } = loaderWith({ maxWaiting: 3 });
    const running = loader.load('a');
    const started = await query(0);
    const waiting = ['b', 'b', 'c'].map((key) => loader.load(key));
    for (const key of ['b', 'd']) await expect(loader.load(key)).rejects.toThrow(NoQueryInTimeError);
    started.resolve(['A']);
    (await query(1)).resolve(['B', 'C']);
    expect(await Promise.all([running, ...waiting])).toEqual(['A', 'B', 'B', 'C']);
    const after = ['d', 'e', 'f'].map((key) => loader.load(key));
    const last = await query(2);
    expect(last.keys).toEqual(['d', 'e', 'f']);
    last.resolve(valuesOf(last.keys));
    expect(await Promise.all(after)).toEqual(valuesOf(last.keys));
  });

  it('accepts reads again after others were rejected', async () => {
    const { query, loader } = loaderWith({ maxWaiting: 2, waitMs: 10_000 });
    void loader.load('a');
    const started = await query(0);
    const rejected = ['b', 'b'].map((key) => watch(loader.load(key)));
    await advance(10_000);
    for (const { result } of rejected) expect(result).toBeInstanceOf(NoQueryInTimeError);
    const reads = ['c', 'd'].map((key) => loader.load(key));
    started.resolve(['A']);
    (await query(1)).resolve(['C', 'D']);
    expect(await Promise.all(reads)).toEqual(['C', 'D']);
  });

  it('retries once if the connection was lost', async () => {
    const { queries, query, loader } = loaderWith();
    const reads = [loader.load('a'), loader.load('b')];
    (await query(0)).reject(connectionLost());
    const retried = await query(1);
    expect(retried.keys).toEqual(['a', 'b']);
    retried.resolve(['A', 'B']);
    expect(await Promise.all(reads)).toEqual(['A', 'B']);

    const failing = loader.load('c').catch((error: unknown) => error);
    (await query(2)).reject(connectionLost());
    const reason = connectionLost();
    (await query(3)).reject(reason);
    expect(await failing).toBe(reason);
    expect(queries).toHaveLength(4);
  });

  it('does not retry after a long wait', async () => {
    const { queries, query, loader } = loaderWith({ waitMs: 10_000 });
    const read = watch(loader.load('a'));
    const started = await query(0);
    await advance(10_000);
    const reason = new Error('Query read timeout');
    started.reject(reason);
    await advance(0);
    expect([read.result, queries.length]).toEqual([reason, 1]);
  });
});
