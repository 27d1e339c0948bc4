import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BLOCK_BYTES, BufferBudget } from './buffer-budget.js';
import { KeptBytes } from './kept-bytes.js';

const NEVER = new AbortController().signal;
const MAX_BLOCKS = 6;

/** Its length is a prime, so that no two blocks of a body are equal. */
const PATTERN = Buffer.from(Array.from({ length: 251 }, (_, n) => n));

/** The bytes of a body at these offsets. */
function body(start: number, end: number): Buffer {
  const turn = start % PATTERN.length;
  return Buffer.alloc(end - start, Buffer.concat([PATTERN.subarray(turn), PATTERN.subarray(0, turn)]));
}

const settled = () => new Promise(setImmediate);

/** A body in a memory of a few blocks, next to a model of it: offsets in an array that is never short. */
class Bench {
  readonly budget = new BufferBudget(MAX_BLOCKS * BLOCK_BYTES);
  readonly kept = new KeptBytes(this.budget, this.start, 4 * BLOCK_BYTES);
  /** Until where bytes were given to `append`. */
  given = this.start;
  /** From where they are kept. */
  keptFrom = this.start;
  isAppending = false;
  private others: Buffer[] = [];

  constructor(private readonly start = 7) {}

  async append(length: number): Promise<void> {
    if (this.isAppending) return;
    const bytes = body(this.given, this.given + length);
    this.given += length;
    this.isAppending = true;
    void this.kept.append(bytes).then(() => {
      // The caller uses its memory again.
      bytes.fill(0);
      this.isAppending = false;
    });
    await settled();
  }

  async forget(ahead: number): Promise<void> {
    this.kept.forget(this.keptFrom + ahead);
    this.keptFrom += ahead;
    await settled();
  }

  /** Other uploads use all but some blocks. */
  async leaveFree(blocks: number): Promise<void> {
    this.budget.giveBack(this.others);
    this.others = [];
    await settled();
    const free = MAX_BLOCKS - this.budget.usedBytes / BLOCK_BYTES;
    this.others = await this.budget.take(Math.max(0, free - blocks), NEVER);
  }

  /** Checks what is kept against the model. */
  async check(): Promise<void> {
    const { kept, budget, given, keptFrom } = this;
    expect(budget.usedBytes).toBeLessThanOrEqual(MAX_BLOCKS * BLOCK_BYTES);
    if (!this.isAppending) expect(kept.received).toBe(given);
    else if (budget.usedBytes < MAX_BLOCKS * BLOCK_BYTES) {
      // All of its own four blocks are full, but for less than one that is forgotten.
      expect(kept.received - keptFrom).toBeGreaterThan(3 * BLOCK_BYTES);
      expect(kept.received).toBeLessThan(given);
    }
    for (const from of [keptFrom, Math.floor((keptFrom + kept.received) / 2)]) {
      if (from >= kept.received) continue;
      const parts = await kept.after(from, NEVER);
      expect(Buffer.concat(parts).equals(body(from, kept.received))).toBe(true);
    }
  }

  async end(): Promise<void> {
    this.kept.release();
    this.budget.giveBack(this.others);
    await settled();
    expect([this.isAppending, this.budget.usedBytes]).toEqual([false, 0]);
  }
}

type Step = readonly ['append' | 'forget' | 'leaveFree', number];

const length = fc.oneof(
  fc.integer({ min: 1, max: 5 * BLOCK_BYTES }),
  fc.constantFrom(BLOCK_BYTES - 7, BLOCK_BYTES, BLOCK_BYTES + 1, 1),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant('append' as const), length) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('forget' as const), length) },
  fc.tuple(fc.constant('leaveFree' as const), fc.integer({ min: 0, max: MAX_BLOCKS })),
);

describe('KeptBytes', () => {
  it('keeps exactly the bytes that were given and not forgotten, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const bench = new Bench();
        for (const [what, number] of steps) {
          await bench[what](number);
          await bench.check();
        }
        await bench.end();
      }),
      { numRuns: 200 },
    );
  });

  it('waits for room, and goes on when bytes are forgotten', async () => {
    const bench = new Bench(0);
    await bench.append(5 * BLOCK_BYTES);
    expect([bench.isAppending, bench.kept.received]).toEqual([true, 4 * BLOCK_BYTES]);
    await bench.forget(BLOCK_BYTES - 1);
    expect(bench.isAppending).toBe(true);
    await bench.forget(1);
    expect(bench.isAppending).toBe(false);
    await bench.check();
  });

  it('waits for memory that others use', async () => {
    const bench = new Bench(0);
    await bench.leaveFree(1);
    await bench.append(BLOCK_BYTES + 1);
    expect([bench.isAppending, bench.kept.received]).toEqual([true, BLOCK_BYTES]);
    await bench.leaveFree(MAX_BLOCKS);
    expect(bench.isAppending).toBe(false);
    await bench.end();
  });

  it('takes no memory for bytes that are durable before they come', async () => {
    const bench = new Bench(0);
    await bench.forget(100 * BLOCK_BYTES);
    for (let n = 0; n < 20; n += 1) await bench.append(5 * BLOCK_BYTES);
    expect([bench.kept.received, bench.budget.usedBytes]).toEqual([100 * BLOCK_BYTES, 0]);
    await bench.append(1);
    await bench.check();
  });

  it('drops bytes that become durable while it waits for memory', async () => {
    const bench = new Bench(0);
    await bench.leaveFree(0);
    await bench.append(10);
    await bench.forget(100 * BLOCK_BYTES);
    await bench.leaveFree(MAX_BLOCKS);
    for (let n = 0; n < 21; n += 1) await bench.append(5 * BLOCK_BYTES);
    await bench.check();
    expect([bench.kept.received, bench.isAppending]).toEqual([104 * BLOCK_BYTES, true]);
    await bench.end();
  });

  it('has the memory for all of a body that was reserved', async () => {
    const bench = new Bench(0);
    await bench.kept.reserve(3 * BLOCK_BYTES);
    await bench.leaveFree(0);
    await bench.append(3 * BLOCK_BYTES);
    expect(bench.isAppending).toBe(false);
    await bench.check();
    await bench.end();
  });

  it('returns all of a body at its end', async () => {
    const { kept } = new Bench(0);
    const whole = kept.whole();
    await kept.append(body(0, BLOCK_BYTES + 5));
    await kept.append(body(BLOCK_BYTES + 5, BLOCK_BYTES + 9));
    kept.finish();
    expect(Buffer.concat(await whole).equals(body(0, BLOCK_BYTES + 9))).toBe(true);
  });

  it('returns nothing at the end, and when the signal aborts', async () => {
    const { kept } = new Bench(0);
    const gone = new AbortController();
    const waiting = kept.after(0, gone.signal);
    gone.abort();
    expect(await waiting).toEqual([]);
    const last = kept.after(0, NEVER);
    const error = new Error('the connection closed');
    kept.finish(error);
    kept.finish();
    expect([await last, kept.end]).toEqual([[], { error }]);
  });

  it('refuses to read what is forgotten', async () => {
    const bench = new Bench(0);
    await bench.append(3 * BLOCK_BYTES);
    await bench.forget(2 * BLOCK_BYTES);
    await expect(bench.kept.after(0, NEVER)).rejects.toThrow('byte 0 of the body is not kept');
  });

  it.each([
    ['for room', MAX_BLOCKS],
    ['for memory', 1],
  ])('is released while a body waits %s', async (_, free) => {
    const bench = new Bench(0);
    await bench.leaveFree(free);
    await bench.append(5 * BLOCK_BYTES);
    expect(bench.isAppending).toBe(true);
    bench.kept.release();
    await bench.end();
  });

  it('gives a block back that came just before it was released', async () => {
    const budget = new BufferBudget(BLOCK_BYTES);
    const others = await budget.take(1, NEVER);
    const kept = new KeptBytes(budget, 0, BLOCK_BYTES);
    const appended = kept.append(body(0, 1));
    await settled();
    budget.giveBack(others);
    kept.release();
    await appended;
    expect(budget.usedBytes).toBe(0);
  });
});
