import { describe, expect, it } from '@jest/globals';
import { BLOCK_BYTES, BufferBudget } from './buffer-budget.js';

const NEVER = new AbortController().signal;

/** Takes blocks, and says whether they have come. */
function take(budget: BufferBudget, count: number, signal = NEVER) {
  const taken = { blocks: undefined as Buffer[] | undefined };
  void budget.take(count, signal).then((blocks) => (taken.blocks = blocks));
  return taken;
}

const settled = () => new Promise(setImmediate);

describe('BufferBudget', () => {
  it('has whole blocks, and none more', async () => {
    const budget = new BufferBudget(3 * BLOCK_BYTES + 1);
    const blocks = await budget.take(3, NEVER);
    expect(blocks.map(({ length }) => length)).toEqual([BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES]);
    expect(budget.usedBytes).toBe(3 * BLOCK_BYTES);
    const late = take(budget, 1);
    await settled();
    expect(late.blocks).toBeUndefined();
  });

  it('uses blocks again', async () => {
    const budget = new BufferBudget(2 * BLOCK_BYTES);
    const blocks = await budget.take(2, NEVER);
    budget.giveBack(blocks);
    expect(budget.usedBytes).toBe(0);
    expect(new Set(await budget.take(2, NEVER))).toEqual(new Set(blocks));
  });

  it('serves those that wait in turn, each with all of its blocks at once', async () => {
    const budget = new BufferBudget(4 * BLOCK_BYTES);
    const [first, ...others] = await budget.take(4, NEVER);
    const [large, small] = [take(budget, 2), take(budget, 1)];
    budget.giveBack(first === undefined ? [] : [first]);
    await settled();
    // The small one would fit. If it went first, the large one could wait forever.
    expect([large.blocks, small.blocks]).toEqual([undefined, undefined]);
    budget.giveBack(others);
    await settled();
    expect([large.blocks?.length, small.blocks?.length]).toEqual([2, 1]);
  });

  it('gives nothing to those that do not wait any more, and serves the next', async () => {
    const budget = new BufferBudget(2 * BLOCK_BYTES);
    const [, second] = await budget.take(2, NEVER);
    const gone = new AbortController();
    const [large, small] = [take(budget, 2, gone.signal), take(budget, 1)];
    budget.giveBack(second === undefined ? [] : [second]);
    gone.abort();
    await settled();
    expect([large.blocks, small.blocks?.length]).toEqual([[], 1]);
    expect(budget.usedBytes).toBe(2 * BLOCK_BYTES);
    expect(await budget.take(1, gone.signal)).toEqual([]);
  });

  it('is shared by uploads, of which each may have a little', () => {
    const budget = new BufferBudget(12 * BLOCK_BYTES);
    const shares = Array.from({ length: 5 }, () => {
      budget.join();
      return budget.shareBlocks;
    });
    expect(shares).toEqual([12, 6, 4, 4, 4]);
    for (let n = 0; n < 4; n += 1) budget.leave();
    expect(budget.shareBlocks).toBe(12);
  });
});
