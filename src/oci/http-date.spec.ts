import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatHttpDate, parseHttpDate } from './http-date.js';

describe('HTTP dates', () => {
  it.each(['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])(
    'parses %s',
    (text) => {
      expect(parseHttpDate(text)).toBe(784_111_777);
    },
  );

  it('parses what it formats', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 250_000_000_000 }), (seconds) => {
        expect(parseHttpDate(formatHttpDate(seconds))).toBe(seconds);
      }),
    );
  });

  it.each([
    '',
    '784111777',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 CET',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
  ])('refuses %j', (text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });
});
