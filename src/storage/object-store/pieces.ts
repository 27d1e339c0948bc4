import { mapBounded } from '../../common/map-bounded.js';
import type { IoOptions } from '../storage-driver.js';
import { ObjectNotFoundError, StorageUnavailableError, UploadStateError } from '../storage.errors.js';
import { pieceName } from './names.js';
import type { ObjectStore } from './object-store.js';
import { bodyOf } from './part-buffer.js';
import { readResuming } from './resuming-read.js';
import type { Piece } from './upload-layout.js';

const CONCURRENT_READS = 8;
const MAX_ATTEMPTS = 2;

/**
 * Reads the pieces of an upload, one after the other, into the beginning of `target`.
 *
 * @throws UploadStateError if one is missing; StorageUnavailableError if the store returns other bytes than
 * it was given.
 */
export async function readPieces(
  store: ObjectStore,
  id: string,
  pieces: readonly Piece[],
  target: Buffer,
  options: IoOptions = {},
): Promise<void> {
  let start = 0;
  const reads = pieces.map((piece) => {
    const into = target.subarray(start, start + piece.sizeBytes);
    start += piece.sizeBytes;
    return { piece, into };
  });
  await mapBounded(reads, CONCURRENT_READS, ({ piece, into }) => readPiece(store, id, piece, into, options));
}

async function readPiece(
  store: ObjectStore,
  id: string,
  { suffix, md5 }: Piece,
  into: Buffer,
  options: IoOptions,
): Promise<void> {
  const name = pieceName(id, suffix);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    await readInto(store, name, into, options);
    if ((await bodyOf(into)).md5 === md5) return;
  }
  throw new StorageUnavailableError(`the store returned other bytes of ${name} than it was given`);
}

async function readInto(store: ObjectStore, name: string, into: Buffer, options: IoOptions): Promise<void> {
  try {
    let filled = 0;
    const span = { start: 0, end: into.length - 1 };
    const bytes: AsyncIterable<Buffer> = await readResuming(store, name, span, options);
    for await (const chunk of bytes) filled += chunk.copy(into, filled);
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    throw new UploadStateError('durable bytes of the upload are missing', { cause: error });
  }
}
