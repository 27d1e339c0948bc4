import type { IoOptions } from '../storage-driver.js';
import { ObjectNotFoundError, UploadStateError } from '../storage.errors.js';
import { pieceName } from './names.js';
import type { ObjectStore } from './object-store.js';
import { readResuming } from './resuming-read.js';
import type { Piece } from './upload-layout.js';

const READS_AT_ONCE = 8;

/**
 * Reads pieces back, one behind the other.
 *
 * @throws UploadStateError when one of them is gone.
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
    work.push(() => readPiece(store, pieceName(id, piece.suffix), into, options));
    start += piece.sizeBytes;
  }
  await Promise.all(Array.from({ length: READS_AT_ONCE }, () => inTurn(work)));
}

async function inTurn(work: (() => Promise<void>)[]): Promise<void> {
  for (let next = work.shift(); next !== undefined; next = work.shift()) await next();
}

async function readPiece(store: ObjectStore, name: string, into: Buffer, options: IoOptions): Promise<void> {
  try {
    let filled = 0;
    const bytes: AsyncIterable<Buffer> = await readResuming(
      store,
      name,
      { start: 0, end: into.length - 1 },
      options,
    );
    for await (const chunk of bytes) filled += chunk.copy(into, filled);
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    throw new UploadStateError('bytes are gone that were made durable', { cause: error });
  }
}
