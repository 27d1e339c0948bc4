import { randomUUID } from 'node:crypto';
import type { Bucket, File } from '@google-cloud/storage';
import type { Readable } from 'node:stream';
import { mapBounded } from '../../../common/map-bounded.js';
import type { GcsSettings } from '../../../config/gcs.settings.js';
import type {
  Body,
  Multipart,
  ObjectStore,
  Part,
  RefusedDeletions,
  StoredMultipart,
  StoredObject,
} from '../../object-store/object-store.js';
import { deleteEach } from '../../object-store/refused-deletions.js';
import { RetryPolicy } from '../../object-store/retry-policy.js';
import { withTimeout } from '../../object-store/timeout.js';
import type { ByteSpan, IoOptions } from '../../storage-driver.js';
import {
  ObjectNotFoundError,
  StorageError,
  StorageUnavailableError,
  UploadStateError,
} from '../../storage.errors.js';
import { newSegmentName } from '../segment-name.js';
import { checkGcsAccess, type GcsAccess, openGcsAccess } from './gcs-access.js';
import { GcsComposition } from './gcs-composition.js';
import { GCS_LIMITS, type GcsLimits } from './gcs-limits.js';
import { CONTENT_TYPE, GcsTransfer } from './gcs-transfer.js';
import { isConditionNotMet, isMissingObject, toStorageError } from './gcs.errors.js';

/** Prefix of parts, and of intermediate objects. */
const UPLOADS = 'uploads/';
/** https://cloud.google.com/storage/docs/objects#naming */
const MAX_NAME_BYTES = 1024;
const PAGE_SIZE = 1000;
const CONCURRENT_DELETES = 32;
const EMPTY: Body = { bytes: Buffer.of(), md5: '1B2M2Y8AsgTpgAmY7PhCfg==' };
/** No object ever has it, because generations are times in microseconds. */
const NO_GENERATION = 1;

type Metadata = Pick<File['metadata'], 'size' | 'timeCreated'>;

/** https://cloud.google.com/storage/docs/json_api/v1/objects/list#response */
interface Page {
  readonly items?: (Metadata & { readonly name: string })[];
  readonly nextPageToken?: string;
}

/**
 * Google Cloud Storage, by its JSON API.
 *
 * The SDK has no multipart upload, but Google composes objects without transferring bytes. So a part is an
 * object, `uploads/<upload id>~<16 hex>`, whose random suffix is the part's tag: no writer replaces another's
 * part. The upload id is the last segment of the multipart's name. The reaper finds parts that a crash left
 * by listing `uploads/`, not by {@link listMultiparts}.
 */
export class GcsObjectStore implements ObjectStore {
  readonly name = 'gcs';
  readonly location: string;
  /** Parts are not numbered here, so this only keeps the tree of compositions at three levels. */
  readonly maxPartNumber = 10_000;
  readonly leavesPartsOut = true;
  readonly piecesAreParts = true;
  /** Set if there is a key file, or if {@link open} finds that the credential can sign. */
  signedUrl?: (name: string, expirySeconds: number) => Promise<URL>;

  private readonly access: GcsAccess;
  private readonly bucket: Bucket;
  private readonly transfer: GcsTransfer;
  private readonly retries: RetryPolicy;
  private readonly limits: GcsLimits;
  private readonly prefix: string;

  constructor(settings: GcsSettings, limits: Partial<GcsLimits> = {}) {
    this.limits = { ...GCS_LIMITS, ...limits };
    const { idleMs } = this.limits;
    this.access = openGcsAccess(settings, idleMs);
    const { place, storage, authorize } = this.access;
    this.prefix = settings.storageGcsPrefix;
    this.location = `gs://${place.bucket}/${this.prefix}`;
    this.bucket = storage.bucket(place.bucket);
    this.retries = new RetryPolicy(this.limits, (error, action) => toStorageError(error, action, place));
    this.transfer = new GcsTransfer({ ...place, idleMs, authorize });
    if (place.keyFile !== undefined) this.signedUrl = (name, seconds) => this.sign(name, seconds);
  }

  /**
   * Opens the store, and learns whether the credential can sign URLs.
   *
   * @throws StorageError if the key file is invalid, or Google is unavailable.
   */
  static async open(settings: GcsSettings, limits: Partial<GcsLimits> = {}): Promise<GcsObjectStore> {
    const store = new GcsObjectStore(settings, limits);
    await checkGcsAccess(store.access.place);
    if (await store.canSign()) store.signedUrl = (name, seconds) => store.sign(name, seconds);
    else delete store.signedUrl;
    return store;
  }

  async prepare(): Promise<void> {
    await checkGcsAccess(this.access.place);
    await this.page(UPLOADS, undefined, {}, 1);
    const probe = probeName();
    await this.put(probe, EMPTY, {});
    await this.delete([probe], {});
  }

  /**
   * Creates an object under a condition that is never met. If only the condition is refused, the bucket is
   * ready.
   */
  async check({ signal }: IoOptions): Promise<void> {
    const probe = probeName();
    await this.run('write to the bucket', signal, async (given) => {
      try {
        await this.transfer.upload(this.fullName(probe), EMPTY, given, NO_GENERATION);
      } catch (error) {
        if (isConditionNotMet(error)) return;
        throw error;
      }
      // An emulator without conditions has created it.
      await this.requestDeletion(probe);
    });
  }

  async head(name: string, { signal }: IoOptions): Promise<StoredObject | undefined> {
    if (this.isTooLong(name)) return undefined;
    return this.run(`look up ${name}`, signal, async () => {
      try {
        const [metadata] = await this.file(name).getMetadata();
        return storedObject(name, metadata);
      } catch (error) {
        if (isMissingObject(error)) return undefined;
        throw error;
      }
    });
  }

  async get(name: string, span: ByteSpan, options: IoOptions): Promise<Readable> {
    if (this.isTooLong(name)) throw new ObjectNotFoundError(name);
    try {
      const attempt = (given: AbortSignal): Promise<Readable> =>
        this.transfer.download(this.fullName(name), span, given);
      const discard = (late: Readable): void => void late.destroy();
      return await this.retries.run({ action: `read ${name}`, attempt, discard }, options);
    } catch (error) {
      throw isMissingObject(error) ? new ObjectNotFoundError(name, { cause: error }) : error;
    }
  }

  async put(name: string, body: Body, options: IoOptions): Promise<void> {
    const attempt = (given: AbortSignal): Promise<void> =>
      this.transfer.upload(this.fullName(name), body, given);
    await this.retries.run({ action: `write ${name}`, attempt, bytes: body.bytes.length }, options);
  }

  async delete(names: readonly string[], { signal }: IoOptions): Promise<void> {
    signal?.throwIfAborted();
    await mapBounded(names, CONCURRENT_DELETES, (name) => this.deleteOne(name, signal));
  }

  async deleteMany(names: readonly string[], { signal }: IoOptions): Promise<RefusedDeletions> {
    signal?.throwIfAborted();
    return deleteEach(names, CONCURRENT_DELETES, (name) => this.deleteOne(name, signal));
  }

  async *list(prefix: string, options: IoOptions): AsyncIterable<StoredObject> {
    if (this.isTooLong(prefix)) return;
    let pageToken: string | undefined;
    do {
      const page = await this.page(prefix, pageToken, options, PAGE_SIZE);
      for (const item of page.items ?? []) {
        yield storedObject(item.name.slice(this.prefix.length), item);
        options.signal?.throwIfAborted();
      }
      if (page.nextPageToken !== undefined && page.nextPageToken === pageToken) {
        throw new StorageError('Google does not say where the next page of its list begins');
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
  }

  async beginMultipart(name: string, { signal }: IoOptions): Promise<Multipart> {
    signal?.throwIfAborted();
    return Promise.resolve({ name, id: '' });
  }

  async putPart({ name }: Multipart, number: number, body: Body, options: IoOptions): Promise<Part> {
    const part = partName(name);
    await this.put(part, body, options);
    return { number, tag: part.slice(part.lastIndexOf('~') + 1) };
  }

  async completeMultipart({ name }: Multipart, parts: readonly Part[], options: IoOptions): Promise<void> {
    const sources = parts.map(({ tag }) => partName(name, tag));
    const composition = new GcsComposition({
      compose: (group, target) => this.compose(group, target, undefined, options),
      newName: () => partName(name),
    });
    let isMade = false;
    try {
      await this.compose(await composition.reduce(sources), name, 0, options);
      isMade = true;
    } catch (error) {
      isMade = isConditionNotMet(error);
      if (!isMade && !isMissingObject(error)) throw error;
      throw new UploadStateError(`${name} exists already, or its parts are missing`, { cause: error });
    } finally {
      // Once the object exists nothing needs the parts. Before, a retry needs them.
      await this.cleanUp([...composition.intermediates, ...(isMade ? sources : [])], options);
    }
  }

  async abortMultipart({ name }: Multipart, parts: readonly Part[], options: IoOptions): Promise<void> {
    await this.delete(
      parts.map(({ tag }) => partName(name, tag)),
      options,
    );
  }

  /** Empty: parts are objects. */
  async *listMultiparts(_prefix: string, { signal }: IoOptions): AsyncIterable<StoredMultipart> {
    signal?.throwIfAborted();
    yield* await Promise.resolve<StoredMultipart[]>([]);
  }

  /** Closes connections. The store can't be used after that. */
  close(): void {
    this.transfer.close();
  }

  /** @param generation that the target must have; 0 means that it must not exist. */
  private async compose(
    sources: readonly string[],
    target: string,
    generation: number | undefined,
    { signal }: IoOptions,
  ): Promise<void> {
    const condition = generation === undefined ? {} : { ifGenerationMatch: generation };
    await this.run(`compose ${target} of ${sources.length} parts`, signal, async () => {
      const file = this.file(target);
      file.metadata = { contentType: CONTENT_TYPE };
      await this.bucket.combine(
        sources.map((source) => this.fullName(source)),
        file,
        condition,
      );
    });
  }

  /** Ignores failures, because the reaper deletes the rest. */
  private async cleanUp(names: readonly string[], options: IoOptions): Promise<void> {
    await withTimeout(options, this.limits.cleanupMs, (signal) =>
      mapBounded(names, CONCURRENT_DELETES, (name) => this.delete([name], { signal }).catch(() => undefined)),
    ).catch(() => undefined);
  }

  private async deleteOne(name: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.isTooLong(name)) return;
    await this.run(`delete ${name}`, signal, () => this.requestDeletion(name));
  }

  private async requestDeletion(name: string): Promise<void> {
    await this.file(name).delete({ ignoreNotFound: true });
  }

  private async page(
    prefix: string,
    pageToken: string | undefined,
    { signal }: IoOptions,
    maxResults: number,
  ): Promise<Page> {
    const query = {
      prefix: this.prefix + prefix,
      maxResults,
      autoPaginate: false,
      fields: 'items(name,size,timeCreated),nextPageToken',
      ...(pageToken !== undefined && { pageToken }),
    };
    return this.run('list objects', signal, async () => {
      // With `fields`, the SDK's files have no metadata, but the page has.
      const [, , page] = await this.bucket.getFiles(query);
      return page as Page;
    });
  }

  /**
   * Signs (V4) with the key, or through Google for a default credential without a key.
   * https://cloud.google.com/storage/docs/access-control/signed-urls
   */
  private async sign(name: string, expirySeconds: number): Promise<URL> {
    const now = Date.now();
    return this.run(`sign a URL of ${name}`, undefined, async () => {
      const [url] = await this.file(name).getSignedUrl({
        version: 'v4',
        action: 'read',
        accessibleAt: now,
        expires: now + expirySeconds * 1000,
        responseType: CONTENT_TYPE,
        host: this.access.publicEndpoint,
      });
      return new URL(url);
    });
  }

  /** Returns whether there is a key, or Google signs for the default credential. */
  private async canSign(): Promise<boolean> {
    if (!this.access.authenticated) return false;
    try {
      await this.sign('probe', 1);
      return true;
    } catch (error) {
      // While Google is unavailable this can't be decided, so the start fails.
      if (error instanceof StorageUnavailableError) throw error;
      return false;
    }
  }

  private async run<T>(
    action: string,
    signal: AbortSignal | undefined,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.retries.run({ action, attempt }, signal ? { signal } : {});
  }

  private file(name: string): File {
    return this.bucket.file(this.fullName(name));
  }

  private fullName(name: string): string {
    return this.prefix + name;
  }

  private isTooLong(name: string): boolean {
    return Buffer.byteLength(this.fullName(name)) > MAX_NAME_BYTES;
  }
}

/** The name of an unknown upload's part, so that the reaper finds it after a crash. */
function probeName(): string {
  return `${UPLOADS}${newSegmentName(randomUUID())}`;
}

/** The name of the part with this tag, or of a new part. */
function partName(name: string, tag?: string): string {
  const id = name.slice(name.lastIndexOf('/') + 1);
  return `${UPLOADS}${tag === undefined ? newSegmentName(id) : `${id}~${tag}`}`;
}

function storedObject(name: string, { size, timeCreated }: Metadata): StoredObject {
  const made = Date.parse(timeCreated ?? '');
  return { name, sizeBytes: Number(size), modifiedAt: new Date(Math.floor(made / 1000) * 1000) };
}
