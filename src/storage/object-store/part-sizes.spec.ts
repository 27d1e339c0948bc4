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
    for (let index = 1; index < 10_000; index += 1) {
      expect(partSize(index, 8 * MIB)).toBeGreaterThanOrEqual(partSize(index - 1, 8 * MIB));
    }
    expect(partSize(EQUAL_PARTS - 1, 8 * MIB)).toBe(8 * MIB);
    expect(partSize(EQUAL_PARTS, 8 * MIB)).toBe(16 * MIB);
  });

  it('add up', () => {
    let total = 0;
    for (let count = 0; count < 10_000; count += 1) {
      expect(partsSize(count, 7)).toBe(total);
      total += partSize(count, 7);
    }
  });
});
