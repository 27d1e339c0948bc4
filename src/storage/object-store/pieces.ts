import type { IoOptions } from '../storage-driver.js';
import { ObjectNotFoundError, StorageUnavailableError, UploadStateError } from '../storage.errors.js';
import { pieceName } from './names.js';
import type { ObjectStore } from './object-store.js';
import { bodyOf } from './part-buffer.js';
import { readResuming } from './resuming-read.js';
import type { Piece } from './upload-layout.js';

const READS_AT_ONCE = 8;
const ATTEMPTS = 2;

/**
 * Reads pieces back, one behind the other, into the beginning of `target`.
 *
 * @throws UploadStateError when one of them is gone; StorageUnavailableError when what comes is not what was put.
 */
export async function readPieces(
  store: ObjectStore,
  id: string,
  pieces: readonly Piece[],
  target: Buffer,
  options: IoOptions = {},
): Promise<void> {
  const work: (() => Promise<void>)[] = [];
  let start = 0;
  for (const piece of pieces) {
    const into = target.subarray(start, start + piece.sizeBytes);
    work.push(() => readPiece(store, id, piece, into, options));
    start += piece.sizeBytes;
  }
  await Promise.all(Array.from({ length: READS_AT_ONCE }, () => inTurn(work)));
}

async function inTurn(work: (() => Promise<void>)[]): Promise<void> {
  try {
    for (let next = work.shift(); next !== undefined; next = work.shift()) await next();
  } catch (error) {
    // The others are read for nobody.
    work.length = 0;
    throw error;
  }
}

async function readPiece(
  store: ObjectStore,
  id: string,
  { suffix, md5 }: Piece,
  into: Buffer,
  options: IoOptions,
): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    await fill(store, pieceName(id, suffix), into, options);
    if ((await bodyOf(into)).md5 === md5) return;
  }
  throw new StorageUnavailableError(
    `the store answers other bytes of ${pieceName(id, suffix)} than it was given`,
  );
}

async function fill(store: ObjectStore, name: string, into: Buffer, options: IoOptions): Promise<void> {
  try {
    let filled = 0;
    const span = { start: 0, end: into.length - 1 };
    const bytes: AsyncIterable<Buffer> = await readResuming(store, name, span, options);
    for await (const chunk of bytes) filled += chunk.copy(into, filled);
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    throw new UploadStateError('bytes are gone that were made durable', { cause: error });
  }
}
