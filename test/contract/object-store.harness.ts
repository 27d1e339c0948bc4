import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type {
  Body,
  Multipart,
  ObjectStore,
  Part,
  StoredMultipart,
  StoredObject,
} from '../../src/storage/object-store/object-store.js';
import type { IoOptions } from '../../src/storage/storage-driver.js';

/** In what the stores differ without breaking a promise. */
export interface ObjectStoreTraits {
  /** Of every part but the last one: what the store (or its server in tests) takes at least. */
  readonly partBytes: number;
  /** Entries of a page of the harness's lists: a small number, or listing more than a page takes long. */
  readonly pageSize: number;
  /** `listMultiparts` lists what has a part, rather than nothing. */
  readonly listsMultiparts: boolean;
  /** The store knows a multipart by its id, so that it refuses a part of one that was aborted. */
  readonly knowsMultiparts: boolean;
  /**
   * Parts are objects below `uploads/`, which are listed with the others until the object is made, or the
   * multipart aborted.
   */
  readonly partsAreObjects?: boolean;
  /** The store compares the MD5 that it is sent. */
  readonly comparesMd5: boolean;
  /** The longest name that the store takes, prefix included, where it has such a bound. */
  readonly maxNameBytes: number | undefined;
}

/** A store on a bucket of its own, which is empty at the beginning of each test. */
export interface ObjectStoreHarness {
  /** Prepared, and without a prefix. */
  readonly store: ObjectStore;
  readonly traits: ObjectStoreTraits;
  /** Another, prepared one on the same bucket. The prefix is empty or ends with a slash. */
  open(prefix: string): Promise<ObjectStore>;
  dispose(): Promise<void>;
}

/** What the groups of the contract get. */
export interface Context {
  store(): ObjectStore;
  harness(): ObjectStoreHarness;
}

export const NOW: IoOptions = {};

export function bodyOf(bytes: Buffer): Body {
  return { bytes, md5: createHash('md5').update(bytes).digest('base64') };
}

export async function stored(store: ObjectStore, name: string, bytes: Buffer): Promise<void> {
  await store.put(name, bodyOf(bytes), NOW);
}

/** Of an object that isn't empty, which no span lies within. */
export async function readAll(store: ObjectStore, name: string): Promise<Buffer> {
  const object = await store.head(name, NOW);
  if (!object) throw new Error(`no ${name}`);
  return buffer(await store.get(name, { start: 0, end: object.sizeBytes - 1 }, NOW));
}

export async function listedObjects(
  store: ObjectStore,
  prefix: string,
  options: IoOptions = NOW,
): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  for await (const object of store.list(prefix, options)) objects.push(object);
  return objects;
}

export async function listed(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await listedObjects(store, prefix)).map(({ name }) => name).sort();
}

/** Names of those objects that are no parts. */
export async function listedWhole({ store, harness }: Context): Promise<string[]> {
  const names = await listed(store(), '');
  return harness().traits.partsAreObjects === true
    ? names.filter((name) => !name.startsWith('uploads/'))
    : names;
}

export async function listedMultiparts(
  store: ObjectStore,
  prefix: string,
  options: IoOptions = NOW,
): Promise<StoredMultipart[]> {
  const multiparts: StoredMultipart[] = [];
  for await (const multipart of store.listMultiparts(prefix, options)) multiparts.push(multipart);
  return multiparts;
}

/** Puts the parts, one number each, all at once. */
export async function putParts(
  store: ObjectStore,
  multipart: Multipart,
  parts: ReadonlyMap<number, Buffer>,
): Promise<Part[]> {
  return Promise.all(
    [...parts].map(([number, bytes]) => store.putPart(multipart, number, bodyOf(bytes), NOW)),
  );
}

/** Does `work` for each, a few at a time. */
export async function forEachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
