import { BufferBudget } from './buffer-budget.js';

/** Room for the largest manifest that `MANIFEST_MAX_BYTES` allows. */
const MIN_BYTES = 16 * 1024 * 1024;

/** The part of `FRONT_BUFFER_BYTES` for bodies that are kept as a whole. */
export function wholeBodyBytes(totalBytes: number): number {
  return Math.max(MIN_BYTES, Math.floor(totalBytes / 4));
}

/**
 * The memory for bodies that are kept as a whole. It is apart from that of streamed uploads: the clients may
 * be slow, and their rights are not known yet.
 */
export class WholeBodyBudget extends BufferBudget {}
