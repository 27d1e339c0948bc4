import { beforeEach, describe, expect, it } from '@jest/globals';
import { EpochCache } from './epoch-cache.js';

describe('EpochCache', () => {
  let cache: EpochCache<{ readonly size: number }>;

  beforeEach(() => {
    cache = new EpochCache({ maxEntries: 3, maxSize: 10, sizeOf: ({ size }) => size });
  });
  const known = (epoch: number, ...keys: string[]) =>
    keys.filter((key) => cache.get(epoch, key) !== undefined);

  it('has what was read in the same epoch only', () => {
    cache.set(1, 'a', { size: 1 });
    expect([known(1, 'a'), known(2, 'a'), known(0, 'a')]).toEqual([['a'], [], []]);
  });

  it('holds nothing of an earlier epoch', () => {
    cache.set(1, 'a', { size: 1 });
    cache.set(2, 'b', { size: 1 });
    expect([known(1, 'a'), known(2, 'a', 'b')]).toEqual([[], ['b']]);
  });

  it('takes nothing that was read before a change', () => {
    cache.set(2, 'a', { size: 1 });
    cache.set(1, 'a', { size: 2 });
    cache.set(1, 'b', { size: 2 });
    expect([cache.get(2, 'a'), known(2, 'b')]).toEqual([{ size: 1 }, []]);
  });

  it('holds a number of entries, and a size', () => {
    for (const key of ['a', 'b', 'c', 'd']) cache.set(1, key, { size: 1 });
    expect(known(1, 'a', 'b', 'c', 'd')).toEqual(['b', 'c', 'd']);
    cache.set(1, 'e', { size: 9 });
    expect(known(1, 'b', 'c', 'd', 'e')).toEqual(['d', 'e']);
    cache.set(1, 'f', { size: 11 });
    expect(known(1, 'f')).toEqual([]);
  });
});
