import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyText } from '../../test/support/any-text.js';
import { NameInvalidError } from './errors.js';
import { parseRepositoryName } from './repository-name.js';

const SPEC =
  /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/; /* distribution-spec, verbatim */

describe('parseRepositoryName', () => {
  it.each(['a', 'library/alpine', 'a/b/c/d/e/f', 'a.b_c__d-e---f', '0/1', 'x'.repeat(255)])(
    'accepts %j',
    (name) => {
      expect(parseRepositoryName(name)).toBe(name);
    },
  );

  it.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'A',
    'a/B',
    'a..b',
    'a___b',
    'a.-b',
    '-a',
    'a-',
    'a/_b',
    'a b',
    'ä',
    'a\n',
    'a\0',
    '../a',
    'x'.repeat(256),
  ])('refuses %j', (name) => {
    expect(() => parseRepositoryName(name)).toThrow(NameInvalidError);
  });

  it('throws NAME_INVALID', () => {
    expect(() => parseRepositoryName('A')).toThrow(
      expect.objectContaining({ code: 'NAME_INVALID', detail: { name: 'A' } }),
    );
  });

  it('agrees with the expression of the spec on names up to 255 characters', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aab0._-/'.split('')), maxLength: 40 });
    fc.assert(
      fc.property(text, (name) => {
        if (SPEC.test(name)) {
          expect(parseRepositoryName(name)).toBe(name);
        } else {
          expect(() => parseRepositoryName(name)).toThrow(NameInvalidError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['a'.repeat(254) + '!', 'a-'.repeat(127) + '!', 'a/'.repeat(127) + '/', '-'.repeat(255)])(
    'refuses the hostile %j',
    (name) => {
      expect(() => parseRepositoryName(name)).toThrow(NameInvalidError);
    },
  );

  it('throws only NAME_INVALID for any text', () => {
    fc.assert(
      fc.property(anyText(300), (text) => {
        try {
          expect(parseRepositoryName(text)).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(NameInvalidError);
        }
      }),
    );
  });
});
