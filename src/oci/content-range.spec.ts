import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatUploadRange, parseContentRange } from './content-range.js';
import { BlobUploadInvalidError } from './errors.js';

describe('parseContentRange', () => {
  it('reads both inclusive ends', () => {
    expect(parseContentRange('0-0')).toEqual({ start: 0, end: 0 });
    expect(parseContentRange('10-19')).toEqual({ start: 10, end: 19 });
    expect(parseContentRange('10-19')).toEqual({ start: 10, end: 19 });
  });

  it.each([
    '',
    '-',
    '5-',
    '-5',
    '5-4',
    'bytes 0-1/2',
    'bytes=0-1',
    '0-1/2',
    ' 0-1',
    '0-1\n',
    '0--1',
    '+0-1',
    '0.0-1',
    '0x0-1',
    '1e1-20',
    '٠-١',
    `0-${Number.MAX_SAFE_INTEGER + 1}`,
    `0-${'9'.repeat(400)}`,
  ])('refuses %j', (text) => {
    expect(() => parseContentRange(text)).toThrow(BlobUploadInvalidError);
  });

  it('reads every range of safe integers', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        expect(parseContentRange(`${start}-${end}`)).toEqual({ start, end });
      }),
    );
  });

  it('throws only BLOB_UPLOAD_INVALID for any other text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'019- /=b'.split('')) }), (text) => {
        try {
          const { start, end } = parseContentRange(text);
          expect(end).toBeGreaterThanOrEqual(start);
        } catch (error) {
          expect(error).toBeInstanceOf(BlobUploadInvalidError);
        }
      }),
    );
  });
});

describe('formatUploadRange', () => {
  it.each([
    [0, '0-0'],
    [1, '0-0'],
    [2, '0-1'],
    [1_048_576, '0-1048575'],
  ])('formats %d bytes as %s', (offset, header) => {
    expect(formatUploadRange(offset)).toBe(header);
  });
});
