import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EVERY_NAME, mergeRanges, type NameRange, namesBelow, onlyName } from './name-range.js';
import { parseRepositoryName } from './repository-name.js';

const name = fc
  .array(fc.constantFrom('a', 'b', 'a-b', 'a.b', 'a0', 'z_9'), { minLength: 1, maxLength: 3 })
  .map((components) => parseRepositoryName(components.join('/')));
const range = fc.oneof(name.map(onlyName), name.map(namesBelow), fc.constant(EVERY_NAME));
const has = (text: string) => (each: NameRange) => each.from <= text && text < each.to;

describe('ranges of names', () => {
  it('contain one name, or those below it', () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        expect(has(other)(onlyName(one))).toBe(other === one);
        expect(has(other)(namesBelow(one))).toBe(other.startsWith(`${one}/`));
        expect(has(other)(EVERY_NAME)).toBe(true);
      }),
    );
  });

  it('contain the same names when they are merged, in order and apart', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), name, (ranges, text) => {
        const merged = mergeRanges(ranges);
        expect(merged.some(has(text))).toBe(ranges.some(has(text)));
        merged.slice(1).forEach((each, index) => expect(each.from > (merged[index]?.to ?? '')).toBe(true));
      }),
    );
  });
});
