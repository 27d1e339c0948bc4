import { describe, expect, it } from '@jest/globals';
import { digestInTimeSlices, digestOf } from './digest.js';
import { inTimeSlices, nextTurn } from './time-slices.js';

/** Counts turns of the event loop during `work`. */
async function countTurns(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let immediate = setImmediate(function count() {
    turns += 1;
    immediate = setImmediate(count);
  });
  try {
    await work();
    return turns;
  } finally {
    clearImmediate(immediate);
  }
}

describe('time slices', () => {
  it('gives each caller a turn of its own, in order', async () => {
    const seen: string[] = [];
    let turn = 0;
    const caller = async (name: string) => {
      await nextTurn();
      seen.push(`${name}, turn ${turn}`);
      turn = NaN;
    };
    let immediate = setImmediate(function count() {
      turn = seen.length + 1;
      immediate = setImmediate(count);
    });
    await Promise.all(['a', 'b', 'c', 'd'].map(caller));
    clearImmediate(immediate);
    expect(seen.map((name) => name[0])).toEqual(['a', 'b', 'c', 'd']);
    // Between two callers, all other work has had a turn.
    expect(seen.filter((name) => name.includes('NaN'))).toEqual([]);
  });

  it('shares turns among all long work', async () => {
    const STEPS = 20;
    const slowSteps = () => {
      let steps = 0;
      return inTimeSlices(() => {
        const end = performance.now() + 3;
        while (performance.now() < end);
        return (steps += 1) === STEPS;
      });
    };
    // A step is longer than a slice, so that each has a turn.
    const turns = await countTurns(() => Promise.all([slowSteps(), slowSteps(), slowSteps()]));
    expect(turns).toBeGreaterThanOrEqual(3 * STEPS - 3);
  });

  it('continues with others if one fails', async () => {
    const failing = inTimeSlices(() => {
      throw new Error('no');
    });
    const fine = inTimeSlices(() => true);
    await expect(failing).rejects.toThrow('no');
    await expect(fine).resolves.toBeUndefined();
  });

  it.each([0, 1, 128 * 1024, 128 * 1024 + 1, 1_000_000])('has the digest of %i bytes', async (length) => {
    const bytes = Buffer.alloc(length, 'x');
    for (const algorithm of ['sha256', 'sha512'] as const) {
      expect(await digestInTimeSlices(algorithm, bytes)).toBe(digestOf(algorithm, bytes));
    }
  });
});
