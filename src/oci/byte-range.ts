/** Bytes of a representation, zero-based, both ends inclusive (RFC 9110, section 14.1.2). */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

/** The parts that a GET with a `Range` header selects. They are within the representation, none is empty. */
export type ByteRanges =
  | { readonly kind: 'whole' }
  /** Disjoint spans, in the order of the header. */
  | { readonly kind: 'spans'; readonly spans: readonly [ByteSpan, ...ByteSpan[]] }
  | { readonly kind: 'unsatisfiable' };

/** As many as podman requests at once (`maxNumberMissingChunks` in containers/storage). */
export const MAX_RANGES = 1024;
/** What a part adds to a response of several parts, approximately. */
const PART_OVERHEAD_BYTES = 128;

const WHOLE: ByteRanges = { kind: 'whole' };
const UNSATISFIABLE: ByteRanges = { kind: 'unsatisfiable' };
const UNIT = /^bytes=/i;
const RANGE_SPEC = /^(?:([0-9]+)-([0-9]*)|-([0-9]+))$/;

/**
 * Parses a `Range` header against a representation of `size` bytes (RFC 9110, section 14).
 *
 * - `whole` (200): no header, another unit, a syntax error, or an empty representation, of which
 *   Content-Range could not express a part. Also more than {@link MAX_RANGES} ranges, and ranges that
 *   together cost more than the whole. RFC 9110 lets a server ignore each.
 * - `spans` (206): `a-b`, `a-` or `-n`, clamped to the size. Overlapping ranges are one span, at the position
 *   of the first of them (section 15.3.7.2). Ranges that touch stay apart: podman requests such ranges and
 *   expects one part for each (podman 4.3 crashes otherwise). Ranges beyond the end are left out.
 * - `unsatisfiable` (416): all ranges start at or beyond the end, or are `-0`. Also a range whose last
 *   position is before its first: section 14.2 allows ignoring or rejecting it; rejecting shows clients their
 *   mistake.
 */
export function parseByteRanges(header: string | undefined, size: number): ByteRanges {
  if (header === undefined || size === 0 || !UNIT.test(header)) {
    return WHOLE;
  }
  // RFC 9110, section 5.6.1.2: ignore empty list elements.
  const specs = header
    .slice('bytes='.length)
    .split(',')
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  const ranges = specs.length > MAX_RANGES ? [] : specs.map(parseSpec);
  if (ranges.length === 0 || !ranges.every((range) => range !== undefined)) {
    return WHOLE;
  }
  if (ranges.some(({ start, end }) => end < start)) {
    return UNSATISFIABLE;
  }
  const [first, ...others] = coalesce(ranges.flatMap((range) => clamp(range, size)));
  if (first === undefined) {
    return UNSATISFIABLE;
  }
  const spans = [first, ...others] as const;
  return others.length > 0 && costOf(spans) >= size ? WHOLE : { kind: 'spans', spans };
}

/** Whether the header has several ranges, so that only a server that supports them can respond to it. */
export function hasSeveralRanges(header: string | undefined): boolean {
  return header?.includes(',') === true;
}

// Positions too large for a number lose digits or become Infinity, but stay beyond every size. A suffix is a
// range with a negative start; `-0` is beyond the end.
function parseSpec(spec: string): ByteSpan | undefined {
  const match = RANGE_SPEC.exec(spec);
  if (match === null) return undefined;
  const [, first, last, suffix] = match;
  const start = suffix === undefined ? Number(first) : -Number(suffix) || Infinity;
  return { start, end: last ? Number(last) : Infinity };
}

/** Returns the span within `size` bytes, or none. */
function clamp({ start, end }: ByteSpan, size: number): ByteSpan[] {
  if (start >= size) return [];
  return [{ start: start < 0 ? Math.max(size + start, 0) : start, end: Math.min(end, size - 1) }];
}

/** Joins spans that overlap. */
function coalesce(spans: readonly ByteSpan[]): ByteSpan[] {
  const joined: { start: number; end: number; position: number }[] = [];
  const sorted = spans.map((span, position) => ({ ...span, position })).sort((a, b) => a.start - b.start);
  for (const span of sorted) {
    const last = joined.at(-1);
    if (last === undefined || span.start > last.end) {
      joined.push(span);
    } else {
      last.end = Math.max(last.end, span.end);
      last.position = Math.min(last.position, span.position);
    }
  }
  return joined.sort((a, b) => a.position - b.position).map(({ start, end }) => ({ start, end }));
}

function costOf(spans: readonly ByteSpan[]): number {
  return spans.reduce((sum, { start, end }) => sum + end - start + 1 + PART_OVERHEAD_BYTES, 0);
}

/** The `Content-Range` of a 206 response, or of one of its parts (RFC 9110, section 14.4). */
export function formatContentRange({ start, end }: ByteSpan, size: number): string {
  return `bytes ${start}-${end}/${size}`;
}

/** The `Content-Range` of a 416 response. */
export function formatUnsatisfiedRange(size: number): string {
  return `bytes */${size}`;
}
