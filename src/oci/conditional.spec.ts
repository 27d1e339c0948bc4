import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { allowsRange, formatEtag, matchesEtag } from './conditional.js';
import { parseDigest } from './digest.js';

const DIGEST = parseDigest(`sha256:${'0a'.repeat(32)}`);
const OTHER = `sha256:${'0b'.repeat(32)}`;
const ETAG = formatEtag(DIGEST);

describe('formatEtag', () => {
  it('quotes the digest', () => {
    expect(ETAG).toBe(`"${DIGEST}"`);
  });
});

describe('matchesEtag', () => {
  it.each([
    ETAG,
    DIGEST,
    `W/${ETAG}`,
    `W/${DIGEST}`,
    '*',
    ' * ',
    `"${OTHER}", ${ETAG}`,
    `"${OTHER}",W/${ETAG},"x"`,
    `${OTHER},${DIGEST}`,
    `,, ${ETAG} ,`,
    `"a, b", ${ETAG}`,
  ])('matches %j', (header) => {
    expect(matchesEtag(header, ETAG)).toBe(true);
    expect(matchesEtag(header, DIGEST)).toBe(true);
  });

  it.each([
    undefined,
    '',
    '""',
    '"*"',
    `"${OTHER}"`,
    OTHER,
    `"x,${DIGEST},y"`,
    DIGEST.slice(0, -1),
    `${DIGEST}0`,
  ])("doesn't match %j", (header) => {
    expect(matchesEtag(header, ETAG)).toBe(false);
  });

  it('finds the tag among any others', () => {
    const other = fc.string({ unit: fc.constantFrom(...'abc:, *'.split('')) }).map((text) => `"${text}"`);
    fc.assert(
      fc.property(fc.array(other), fc.array(other), fc.boolean(), (before, after, present) => {
        const header = [...before, ...(present ? [ETAG] : []), ...after].join(', ');
        expect(matchesEtag(header, ETAG)).toBe(present);
      }),
    );
  });

  it('reads a hostile header in linear time', () => {
    expect(matchesEtag(`${' '.repeat(50_000)}"`, ETAG)).toBe(false);
    expect(matchesEtag('"'.repeat(50_001), ETAG)).toBe(false);
    expect(matchesEtag('W/'.repeat(50_000), ETAG)).toBe(false);
  });
});

describe('allowsRange', () => {
  it.each([undefined, ETAG, DIGEST])('lets the range apply for %j', (header) => {
    expect(allowsRange(header, ETAG)).toBe(true);
  });

  it.each(['', `W/${ETAG}`, `"${OTHER}"`, '*', 'Sat, 01 Nov 2014 00:00:00 GMT', `${ETAG}, ${ETAG}`])(
    'has the whole served for %j',
    (header) => {
      expect(allowsRange(header, ETAG)).toBe(false);
    },
  );
});
