import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatContentRange, formatUnsatisfiedRange, parseByteRange } from './byte-range.js';

const HUGE = '9'.repeat(400);

describe('parseByteRange', () => {
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
    expect(parseByteRange(header, 100)).toEqual({ kind: 'span', start, end });
  });

  it.each(['bytes=100-', 'bytes=100-200', 'bytes=500-0', 'bytes=5-4', 'bytes=-0', `bytes=${HUGE}-`])(
    "can't satisfy %j of 100 bytes",
    (header) => {
      expect(parseByteRange(header, 100)).toEqual({ kind: 'unsatisfiable' });
    },
  );

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=1',
    'bytes=0-1-2',
    'bytes=--1',
    'bytes 0-1',
    'bytes=0 - 1',
    'items=0-1',
    '0-1',
    'bytes=0-1,5-6',
    'bytes=0-1,500-0',
  ])('ignores %j', (header) => {
    expect(parseByteRange(header, 100)).toEqual({ kind: 'whole' });
  });

  it.each([
    ['bytes=0-', 'unsatisfiable'],
    ['bytes=0-0', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=-5', 'whole'],
  ])('reads %j of an empty representation as %s', (header, kind) => {
    expect(parseByteRange(header, 0)).toEqual({ kind });
  });

  it('selects the same bytes as slicing', () => {
    const position = fc.nat({ max: 40 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), position, position, (bytes, first, last) => {
        const range = parseByteRange(`bytes=${first}-${last}`, bytes.length);
        if (first >= bytes.length || last < first) {
          expect(range.kind).toBe('unsatisfiable');
        } else {
          expect(range).toEqual({ kind: 'span', start: first, end: Math.min(last, bytes.length - 1) });
        }
        const suffix = parseByteRange(`bytes=-${first}`, bytes.length);
        if (first > 0 && bytes.length > 0) {
          expect(suffix.kind === 'span' && bytes.slice(suffix.start, suffix.end + 1)).toEqual(
            bytes.slice(-first),
          );
        }
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
        const range = parseByteRange(text, size);
        if (range.kind === 'span') {
          expect(range.start).toBeGreaterThanOrEqual(0);
          expect(range.end).toBeGreaterThanOrEqual(range.start);
          expect(range.end).toBeLessThan(size);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('Content-Range', () => {
  it('has the span, or the size after a 416', () => {
    expect(formatContentRange(10, 19, 100)).toBe('bytes 10-19/100');
    expect(formatUnsatisfiedRange(100)).toBe('bytes */100');
  });
});
