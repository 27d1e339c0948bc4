import { describe, expect, it } from '@jest/globals';
import { parsePattern } from './pattern.js';

describe('patterns of grants', () => {
  it.each(['a', 'a/b', 'team-x/app_1.2', 'a/**', 'a/b/**', '**'])('accept %s', (text) => {
    expect(parsePattern(text)).toBe(text);
  });

  it.each([
    '',
    '*',
    'a*',
    'a/*',
    'a**',
    '/**',
    '**/a',
    'a/**/b',
    '***',
    'A',
    'a/',
    '/a',
    'a//b',
    'a/** ',
    'a b',
  ])('refuse %j, and show the three forms', (text) =>
    expect(() => parsePattern(text)).toThrow(/\(a\/b\).*\(a\/b\/\*\*\).*\*\* for all/),
  );
});
