const MIB = 1024 * 1024;

/** So many parts have the size that was asked for: some stores take no others (R2 wants all but the last one to be equal). */
export const EQUAL_PARTS = 4_000;

/** From then on the size doubles at every so many parts … */
const STEP_PARTS = 100;

/** … up to this: a part is held in memory. */
const LARGEST_PART_BYTES = 1024 * MIB;

/**
 * How many bytes the part at `index` (from 0) has. A store numbers its parts, up to 10,000 in S3, and an object may
 * have 5 TiB: with parts of one size that would be half a gigabyte each, from the first megabyte on. So the size is
 * raised as the object grows: 31 GiB in parts of 8 MiB, 5 TiB in 9,800 parts of at most 1 GiB.
 */
export function partSize(index: number, baseBytes: number): number {
  if (index < EQUAL_PARTS) return baseBytes;
  const doublings = 1 + Math.floor((index - EQUAL_PARTS) / STEP_PARTS);
  return Math.min(baseBytes * 2 ** doublings, Math.max(LARGEST_PART_BYTES, baseBytes));
}

/** Where the part at `index` begins: the bytes of all parts before it. */
export function partsSize(count: number, baseBytes: number): number {
  let bytes = Math.min(count, EQUAL_PARTS) * baseBytes;
  for (let index = EQUAL_PARTS; index < count; index += STEP_PARTS) {
    bytes += Math.min(count - index, STEP_PARTS) * partSize(index, baseBytes);
  }
  return bytes;
}
