import { randomBytes, randomUUID } from 'node:crypto';
import { objectKeyOf, OBJECTS, pieceName } from '../../object-store/names.js';
import type { Body, Multipart, ObjectStore } from '../../object-store/object-store.js';
import { StorageError, UploadStateError } from '../../storage.errors.js';

/** What is written to try a bucket. Not nothing: an empty part is a case of its own. */
const ONE_BYTE: Body = { bytes: Buffer.from('?'), md5: '0UV7csP7MjomcRJa7z6rXQ==' };
const TWO_BYTES: Body = { bytes: Buffer.from('??'), md5: '6gP8uMR4Irzncs9sB9Druw==' };

/*
 * All names are those of an upload that no row knows: where a process ends within a trial, the reaper finds what is left.
 */

/** Writes, finds and deletes an object, as only that shows what the key may do. */
export async function tryToWrite(store: ObjectStore): Promise<void> {
  const name = pieceName(randomUUID(), randomBytes(8).toString('hex'));
  await store.put(name, ONE_BYTE, {});
  const found = await store.head(name, {});
  await store.delete([name], {});
  if (!found) throw new StorageError(`${store.location} does not show what was just written to it`);
}

/** Lists, makes and aborts multiparts. Answers whether the store leaves parts out that it isn't told of. */
export async function tryMultiparts(store: ObjectStore): Promise<boolean> {
  await store.listMultiparts(OBJECTS, {})[Symbol.asyncIterator]().next();
  const multipart = await store.beginMultipart(objectKeyOf(randomUUID()), {});
  const leavesPartsOut = await tryToLeavePartOut(store, multipart);
  // Also where the object was made of it: who may not abort is told so in any case.
  await store.abortMultipart(multipart, [], {});
  return leavesPartsOut;
}

/** Makes an object of the second of two parts: S3 does that, Ceph refuses it. The last is the shorter one, as R2 wants it. */
async function tryToLeavePartOut(store: ObjectStore, multipart: Multipart): Promise<boolean> {
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
  // Layers would have bytes in them that are none of theirs.
  throw new StorageError(
    made
      ? `${store.location} makes objects of parts that it was not told of: it is no store for Berth`
      : `${store.location} does not show what was just made in it`,
  );
}
