import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { allowsRange, formatEtag, matchesEtag, preconditionOf } from './conditional.js';
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

const DATE = 'Sat, 01 Nov 2014 00:00:00 GMT';
const EARLIER = 'Fri, 31 Oct 2014 23:59:59 GMT';
const LATER = 'Sat, 01 Nov 2014 00:00:01 GMT';
const VALIDATORS = { etag: ETAG, modifiedAtSeconds: Date.parse(DATE) / 1000 };
const UNDATED = { etag: ETAG, modifiedAtSeconds: undefined };

describe('preconditionOf', () => {
  it.each([
    [{}, 'met'],
    [{ 'if-modified-since': DATE }, 'not modified'],
    [{ 'if-modified-since': LATER }, 'not modified'],
    [{ 'if-modified-since': EARLIER }, 'met'],
    [{ 'if-modified-since': 'yesterday' }, 'met'],
    [{ 'if-unmodified-since': DATE }, 'met'],
    [{ 'if-unmodified-since': LATER }, 'met'],
    [{ 'if-unmodified-since': EARLIER }, 'failed'],
    [{ 'if-unmodified-since': 'yesterday' }, 'met'],
    [{ 'if-none-match': ETAG }, 'not modified'],
    [{ 'if-none-match': OTHER }, 'met'],
    [{ 'if-match': ETAG }, 'met'],
    [{ 'if-match': '*' }, 'met'],
    [{ 'if-match': `W/${ETAG}` }, 'failed'],
    [{ 'if-match': OTHER }, 'failed'],
    // Entity tags win.
    [{ 'if-none-match': OTHER, 'if-modified-since': LATER }, 'met'],
    [{ 'if-none-match': ETAG, 'if-modified-since': EARLIER }, 'not modified'],
    [{ 'if-match': ETAG, 'if-unmodified-since': EARLIER }, 'met'],
    [{ 'if-match': OTHER, 'if-none-match': ETAG }, 'failed'],
    [{ 'if-unmodified-since': EARLIER, 'if-none-match': ETAG }, 'failed'],
    [{ 'if-match': ETAG, 'if-none-match': ETAG }, 'not modified'],
  ])('%j → %s', (headers, expected) => {
    expect(preconditionOf(headers, VALIDATORS)).toBe(expected);
  });

  it.each([[{ 'if-modified-since': LATER }], [{ 'if-unmodified-since': EARLIER }]])(
    'ignores dates where there is none: %j',
    (headers) => {
      expect(preconditionOf(headers, UNDATED)).toBe('met');
    },
  );
});

describe('allowsRange', () => {
  it.each([undefined, ETAG, DIGEST, DATE])('lets the range apply for %j', (header) => {
    expect(allowsRange(header, VALIDATORS)).toBe(true);
  });

  it.each(['', `W/${ETAG}`, `"${OTHER}"`, '*', EARLIER, LATER, `${ETAG}, ${ETAG}`])(
    'has the whole served for %j',
    (header) => {
      expect(allowsRange(header, VALIDATORS)).toBe(false);
    },
  );

  it('has the whole served for a date where there is none', () => {
    expect(allowsRange(DATE, UNDATED)).toBe(false);
  });
});
