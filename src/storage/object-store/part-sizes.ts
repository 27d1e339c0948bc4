const MIB = 1024 * 1024;

/**
 * So many parts have the configured size. Some stores allow no others: R2 requires all but the last to be
 * equal.
 */
export const EQUAL_PARTS = 4_000;

/** After that the size doubles every so many parts, … */
const STEP_PARTS = 100;

/** … up to this, because a part is held in memory. */
const MAX_PART_BYTES = 1024 * MIB;

/**
 * Returns the size of the part at `index` (from 0). A store numbers its parts, S3 up to 10,000, and an object
 * may have 5 TiB. With equal parts each would have half a gigabyte, so the size grows with the object: 31 GiB
 * in parts of 8 MiB, 5 TiB in 9,800 parts of at most 1 GiB.
 */
export function partSize(index: number, baseBytes: number): number {
  if (index < EQUAL_PARTS) return baseBytes;
  const doublings = 1 + Math.floor((index - EQUAL_PARTS) / STEP_PARTS);
  return Math.min(baseBytes * 2 ** doublings, Math.max(MAX_PART_BYTES, baseBytes));
}

/** Returns the size of the first `count` parts, which is the offset of the next one. */
export function partsSize(count: number, baseBytes: number): number {
  let bytes = Math.min(count, EQUAL_PARTS) * baseBytes;
  for (let index = EQUAL_PARTS; index < count; index += STEP_PARTS) {
    bytes += Math.min(count - index, STEP_PARTS) * partSize(index, baseBytes);
  }
  return bytes;
}
