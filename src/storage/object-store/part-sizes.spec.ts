import { describe, expect, it } from '@jest/globals';
import { EQUAL_PARTS, partSize, partsSize } from './part-sizes.js';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

describe('part sizes', () => {
  it.each([5 * MIB, 8 * MIB, 64 * MIB, GIB])(
    'suffice for 5 TiB with parts of %d bytes, and room for takeovers',
    (base) => {
      expect(partsSize(9_900, base)).toBeGreaterThanOrEqual(5 * 1024 * GIB);
      expect(partSize(9_999, base)).toBeLessThanOrEqual(GIB);
    },
  );

  it('are equal at first, and never shrink', () => {
    const sizes = Array.from({ length: 10_000 }, (_, index) => partSize(index, 8 * MIB));
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(partSize(EQUAL_PARTS - 1, 8 * MIB)).toBe(8 * MIB);
    expect(partSize(EQUAL_PARTS, 8 * MIB)).toBe(16 * MIB);
  });

  it('add up', () => {
    const sizes = Array.from({ length: 10_000 }, (_, index) => partSize(index, 7));
    let total = 0;
    const totals = sizes.map((size) => (total += size) - size);
    expect(sizes.map((_, count) => partsSize(count, 7))).toEqual(totals);
  });
});
