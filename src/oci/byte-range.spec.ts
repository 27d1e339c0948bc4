import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type ByteSpan,
  formatContentRange,
  formatUnsatisfiedRange,
  hasSeveralRanges,
  MAX_RANGES,
  parseByteRanges,
} from './byte-range.js';

const HUGE = '9'.repeat(400);
const LARGE = 1_000_000;

describe('parseByteRanges', () => {
  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    ['bytes=90-', 90, 99],
    ['bytes=-1', 99, 99],
    ['bytes=-100', 0, 99],
    ['bytes=-101', 0, 99],
    ['bytes=99-1000', 99, 99],
    [`bytes=0-${HUGE}`, 0, 99],
    [`bytes=-${HUGE}`, 0, 99],
    ['Bytes=0-1', 0, 1],
    ['bytes= 0-1 ,', 0, 1],
  ])('reads %j of 100 bytes', (header, start, end) => {
    expect(parseByteRanges(header, 100)).toEqual({ kind: 'spans', spans: [{ start, end }] });
  });

  it.each([
    ['0-9,100-109', ['0-9', '100-109']],
    [' 0-9 , ,100-109 ', ['0-9', '100-109']],
    ['100-109,0-9', ['100-109', '0-9']],
    ['500-509,0-9,100-109', ['500-509', '0-9', '100-109']],
    ['0-9,11-20', ['0-9', '11-20']],
    ['0-9,10-19', ['0-9', '10-19']],
    ['0-9,5-19', ['0-19']],
    ['10-19,0-9', ['10-19', '0-9']],
    ['0-99,10-19', ['0-99']],
    ['10-19,0-99', ['0-99']],
    ['0-9,0-9', ['0-9']],
    ['0-9,50-59,9-19', ['0-19', '50-59']],
    ['50-59,0-9,59-69', ['50-69', '0-9']],
    ['0-9,20-29,40-49,5-45', ['0-49']],
    ['0-9,-10', ['0-9', '999990-999999']],
    ['999990-,0-9', ['999990-999999', '0-9']],
    [`0-9,${LARGE}-`, ['0-9']],
    [`${LARGE}-,0-9,-0,20-29,${HUGE}-`, ['0-9', '20-29']],
    [`0-9,999990-${HUGE}`, ['0-9', '999990-999999']],
  ])('reads the ranges %s of a million bytes as %j', (specs, expected) => {
    const range = parseByteRanges(`bytes=${specs}`, LARGE);
    const spans = range.kind === 'spans' ? range.spans : [];
    expect(spans.map(({ start, end }) => `${start}-${end}`)).toEqual(expected);
  });

  it.each([
    'bytes=100-',
    'bytes=100-200',
    'bytes=500-0',
    'bytes=5-4',
    'bytes=-0',
    `bytes=${HUGE}-`,
    'bytes=100-,200-300,-0',
    'bytes=0-1,5-4',
    'bytes=5-4,0-1',
  ])("can't satisfy %j of 100 bytes", (header) => {
    expect(parseByteRanges(header, 100)).toEqual({ kind: 'unsatisfiable' });
  });

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'bytes=-',
    'bytes=a-b',
    'bytes=1',
    'bytes=0-1-2',
    'bytes=--1',
    'bytes 0-1',
    'bytes=0 - 1',
    'items=0-1',
    '0-1',
    'bytes=0-1,a-b',
    'bytes=0-1,-',
    'bytes=5-4,a-b',
  ])('ignores %j', (header) => {
    expect(parseByteRanges(header, 100)).toEqual({ kind: 'whole' });
  });

  it.each(['0-', '0-0', '-0', '-5', '5-4', '0-0,1-1'])('ignores %j of an empty representation', (specs) => {
    expect(parseByteRanges(`bytes=${specs}`, 0)).toEqual({ kind: 'whole' });
  });

  it('ignores several ranges that cost more than the whole', () => {
    expect(parseByteRanges('bytes=0-99,200-299', 1_000).kind).toBe('spans');
    expect(parseByteRanges('bytes=0-99,200-299', 450).kind).toBe('whole');
    expect(parseByteRanges('bytes=0-799,900-999', 1_000).kind).toBe('whole');
    expect(parseByteRanges('bytes=0-999', 1_000).kind).toBe('spans');
    expect(parseByteRanges('bytes=0-900,900-999', 1_000)).toEqual({
      kind: 'spans',
      spans: [{ start: 0, end: 999 }],
    });
  });

  it('ignores more ranges than the maximum', () => {
    const header = (count: number) =>
      `bytes=${Array.from({ length: count }, (_, index) => `${index * 900}-${index * 900}`).join()}`;
    const most = parseByteRanges(header(MAX_RANGES), LARGE);
    expect(most.kind === 'spans' && most.spans.length).toBe(MAX_RANGES);
    expect(parseByteRanges(header(MAX_RANGES + 1), LARGE)).toEqual({ kind: 'whole' });
  });

  it('selects the same bytes as slicing', () => {
    const position = fc.nat({ max: 40 });
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 30 }),
        position,
        position,
        (bytes, first, last) => {
          const range = parseByteRanges(`bytes=${first}-${last}`, bytes.length);
          if (first >= bytes.length || last < first) {
            expect(range.kind).toBe('unsatisfiable');
          } else {
            const spans = [{ start: first, end: Math.min(last, bytes.length - 1) }];
            expect(range).toEqual({ kind: 'spans', spans });
          }
          const suffix = parseByteRanges(`bytes=-${first}`, bytes.length);
          if (first > 0) {
            const [span] = suffix.kind === 'spans' ? suffix.spans : [];
            expect(span && bytes.slice(span.start, span.end + 1)).toEqual(bytes.slice(-first));
          }
        },
      ),
    );
  });

  it('selects every requested byte once', () => {
    const specs = fc.array(fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 20 })), {
      minLength: 2,
      maxLength: 12,
    });
    fc.assert(
      fc.property(specs, fc.integer({ min: 10_000, max: 20_000 }), (requested, size) => {
        const header = `bytes=${requested.map(([start, more]) => `${start}-${start + more}`).join(',')}`;
        const range = parseByteRanges(header, size);
        const spans = range.kind === 'spans' ? range.spans : [];
        const wanted = new Set(requested.flatMap(([start, more]) => positions({ start, end: start + more })));
        const selected = spans.flatMap(positions);
        expect(new Set(selected)).toEqual(wanted);
        expect(selected).toHaveLength(wanted.size);
        // Each span is where the first range of it is.
        const firsts = spans.map(({ start, end }) =>
          requested.findIndex(([first]) => first >= start && first <= end),
        );
        expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
      }),
    );
  });

  it('never throws and never leaves the representation', () => {
    const header = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'0159-, '.split('')) }).map((specs) => `bytes=${specs}`),
    );
    fc.assert(
      fc.property(header, fc.maxSafeNat(), (text, size) => {
        const range = parseByteRanges(text, size);
        for (const { start, end } of range.kind === 'spans' ? range.spans : []) {
          expect(start).toBeGreaterThanOrEqual(0);
          expect(end).toBeGreaterThanOrEqual(start);
          expect(end).toBeLessThan(size);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

function positions({ start, end }: ByteSpan): number[] {
  return Array.from({ length: end - start + 1 }, (_, index) => start + index);
}

it.each([
  [undefined, false],
  ['bytes=0-1', false],
  ['bytes=0-1,4-5', true],
  ['bytes=0-1,', true],
])('%j has several ranges: %j', (header, several) => {
  expect(hasSeveralRanges(header)).toBe(several);
});

describe('Content-Range', () => {
  it('has the span, or the size after a 416', () => {
    expect(formatContentRange({ start: 10, end: 19 }, 100)).toBe('bytes 10-19/100');
    expect(formatUnsatisfiedRange(100)).toBe('bytes */100');
  });
});
