import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SortedRuns } from './sorted-runs.js';

describe('SortedRuns', () => {
  it('returns all values in byte order, equal ones too, whatever their number', () => {
    const values = fc.array(fc.uint8Array({ minLength: 3, maxLength: 3 }), { maxLength: 50 });
    fc.assert(
      fc.property(values, fc.constantFrom(1, 40, 150), (some, times) => {
        const all = Array.from({ length: times }, () => some).flat();
        const runs = new SortedRuns(3);
        for (const value of all) runs.add(value);
        const expected = all.map((value) => Buffer.from(value).toString('hex')).sort();
        expect(Array.from(runs.values(), (value) => value.toString('hex'))).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});
