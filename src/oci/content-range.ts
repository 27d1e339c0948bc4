import { BlobUploadInvalidError } from './errors.js';

/** The bytes of one chunk: offsets in the blob, both inclusive, `end >= start`. */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
}

const CONTENT_RANGE = /^([0-9]+)-([0-9]+)$/;

/**
 * Parses the `Content-Range` of an upload (distribution-spec, "Pushing a blob in chunks"): `<start>-<end>`,
 * with no unit and no total, unlike HTTP's own header of that name. Both ends are safe integers.
 *
 * @throws BlobUploadInvalidError for anything else, also if the end is before the start.
 */
export function parseContentRange(text: string): ContentRange {
  const match = CONTENT_RANGE.exec(text);
  const start = Number(match?.[1]);
  const end = Number(match?.[2]);
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || end < start) {
    throw new BlobUploadInvalidError(
      'invalid Content-Range: expected <start>-<end>, both inclusive, without a unit',
    );
  }
  return { start, end };
}

/**
 * The `Range` header of an upload whose first `offset` bytes are durable: `0-<last byte>`. An empty session
 * also has `0-0`: the header cannot express "none", and clients expect it.
 */
export function formatUploadRange(offset: number): string {
  return `0-${Math.max(offset - 1, 0)}`;
}
