import { randomBytes, randomUUID } from 'node:crypto';
import { objectKeyOf, OBJECTS, pieceName } from '../../object-store/names.js';
import type { Body, Multipart, ObjectStore } from '../../object-store/object-store.js';
import { StorageError, UploadStateError } from '../../storage.errors.js';

/** Not empty, because stores treat an empty part differently. */
const ONE_BYTE: Body = { bytes: Buffer.from('?'), md5: '0UV7csP7MjomcRJa7z6rXQ==' };
const TWO_BYTES: Body = { bytes: Buffer.from('??'), md5: '6gP8uMR4Irzncs9sB9Druw==' };

/*
 * All names are those of an unknown upload: if the process ends within a probe, the reaper finds what it
 * left.
 */

/** Writes, finds and deletes an object. Only this shows what the key may do. */
export async function probeWriting(store: ObjectStore): Promise<void> {
  const name = pieceName(randomUUID(), randomBytes(8).toString('hex'));
  await store.put(name, ONE_BYTE, {});
  const found = await store.head(name, {});
  await store.delete([name], {});
  if (!found) throw new StorageError(`${store.location} does not show an object that was just written`);
}

/**
 * Lists, makes and aborts multipart uploads. Returns whether the store accepts a completion that omits a
 * part.
 */
export async function probeMultiparts(store: ObjectStore): Promise<boolean> {
  await store.listMultiparts(OBJECTS, {})[Symbol.asyncIterator]().next();
  const multipart = await store.beginMultipart(objectKeyOf(randomUUID()), {});
  const leavesPartsOut = await probeOmittedPart(store, multipart);
  // Even if it is completed: this shows whether the key may abort.
  await store.abortMultipart(multipart, [], {});
  return leavesPartsOut;
}

/**
 * Completes with the second of two parts: S3 accepts it, Ceph refuses. The last is the shorter one, as R2
 * requires.
 */
async function probeOmittedPart(store: ObjectStore, multipart: Multipart): Promise<boolean> {
  try {
    await store.putPart(multipart, 1, TWO_BYTES, {});
    await store.completeMultipart(multipart, [await store.putPart(multipart, 2, ONE_BYTE, {})], {});
  } catch (error) {
    if (!(error instanceof UploadStateError)) throw error;
    return false;
  }
  const made = await store.head(multipart.name, {});
  await store.delete([multipart.name], {});
  if (made?.sizeBytes === ONE_BYTE.bytes.length) return true;
  // Layers would contain bytes of other uploads.
  throw new StorageError(
    made
      ? `${store.location} puts omitted parts into an object: Berth can't use this store`
      : `${store.location} does not show an object that was just completed`,
  );
}
