/**
 * The part that a GET with a `Range` header selects. Offsets are inclusive and within the representation.
 */
export type ByteRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'span'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: ByteRange = { kind: 'whole' };
const UNSATISFIABLE: ByteRange = { kind: 'unsatisfiable' };
const UNIT = /^bytes=/i;
const RANGE_SPEC = /^([0-9]*)-([0-9]*)$/;

/**
 * Parses a `Range` header against a representation of `size` bytes (RFC 9110, section 14).
 *
 * - `whole` (200): no header, another unit, a syntax error, or several ranges. RFC 9110 lets a server ignore
 *   each.
 * - `span` (206): `a-b`, `a-` or `-n`, clamped to the size; never empty.
 * - `unsatisfiable` (416): a start at or beyond the end, `-0`, or a last position before the first. Section
 *   14.2 allows ignoring or rejecting the last case; rejecting shows clients their mistake.
 */
export function parseByteRange(header: string | undefined, size: number): ByteRange {
  if (header === undefined || !UNIT.test(header)) {
    return WHOLE;
  }
  // RFC 9110, section 5.6.1.2: ignore empty list elements.
  const specs = header
    .slice('bytes='.length)
    .split(',')
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  const match = specs.length === 1 ? RANGE_SPEC.exec(specs[0] ?? '') : null;
  if (match === null) {
    return WHOLE;
  }
  const [, first = '', last = ''] = match;
  return first === '' ? suffix(last, size) : span(first, last, size);
}

function suffix(length: string, size: number): ByteRange {
  if (length === '') {
    return WHOLE;
  }
  const count = Number(length);
  if (count === 0) {
    return UNSATISFIABLE;
  }
  // Of an empty representation it selects everything, which Content-Range cannot express.
  return size === 0 ? WHOLE : { kind: 'span', start: Math.max(size - count, 0), end: size - 1 };
}

// Positions too large for a number lose digits or become Infinity, but stay beyond every size.
function span(first: string, last: string, size: number): ByteRange {
  const start = Number(first);
  const end = last === '' ? Infinity : Number(last);
  return start >= size || end < start ? UNSATISFIABLE : { kind: 'span', start, end: Math.min(end, size - 1) };
}

/** The `Content-Range` of a 206 response (RFC 9110, section 14.4). */
export function formatContentRange(start: number, end: number, size: number): string {
  return `bytes ${start}-${end}/${size}`;
}

/** The `Content-Range` of a 416 response. */
export function formatUnsatisfiedRange(size: number): string {
  return `bytes */${size}`;
}
