import { randomUUID } from 'node:crypto';
import type { Bucket, File } from '@google-cloud/storage';
import type { Readable } from 'node:stream';
import type { GcsSettings } from '../../../config/gcs.settings.js';
import type {
  Body,
  Multipart,
  ObjectStore,
  Part,
  StoredMultipart,
  StoredObject,
} from '../../object-store/object-store.js';
import { mapBounded } from '../../object-store/bounded.js';
import { Patience } from '../../object-store/patience.js';
import { withinTimeLimit } from '../../object-store/time-limit.js';
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
import { isConditionNotMet, isMissingObject, storageErrorOf } from './gcs.errors.js';

/** Parts, and what is made of them on the way to the object, are objects below it. */
const UPLOADS = 'uploads/';
/** https://cloud.google.com/storage/docs/objects#naming */
const MOST_NAME_BYTES = 1024;
const PAGE_LENGTH = 1000;
const DELETIONS_AT_ONCE = 32;
const NO_BYTES: Body = { bytes: Buffer.of(), md5: '1B2M2Y8AsgTpgAmY7PhCfg==' };
/** No object ever has it: generations are times in microseconds. */
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
 * It has no multipart upload that the SDK speaks; it can compose objects instead, without moving a byte. A part is thus an
 * object, `uploads/<upload id>~<16 hex>`, whose random end is the part's tag: no writer overwrites another one's. The
 * upload id is the last segment of the multipart's name. What a crash leaves of parts is found by listing `uploads/`,
 * not by {@link listMultiparts}.
 */
export class GcsObjectStore implements ObjectStore {
  readonly name = 'gcs';
  readonly location: string;
  /** Any would do: parts are not numbered here. The tree of compositions stays three high. */
  readonly maxPartNumber = 10_000;
  readonly leavesPartsOut = true;
  readonly piecesAreParts = true;
  /** There with a key file, as it is assumed to have a key; {@link open} finds out, and knows of other credentials too. */
  signedUrl?: (name: string, expirySeconds: number) => Promise<URL>;

  private readonly access: GcsAccess;
  private readonly bucket: Bucket;
  private readonly transfer: GcsTransfer;
  private readonly patience: Patience;
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
    this.patience = new Patience(this.limits, (error, doing) => storageErrorOf(error, doing, place));
    this.transfer = new GcsTransfer({ ...place, idleMs, authorize });
    if (place.keyFile !== undefined) this.signedUrl = (name, seconds) => this.sign(name, seconds);
  }

  /**
   * The store, with {@link signedUrl} where URLs can be signed, by whatever credential there is.
   *
   * @throws StorageError when the key file is of no use, or Google doesn't answer who is to sign.
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
    await this.put(probe, NO_BYTES, {});
    await this.delete([probe], {});
  }

  /** Asks for the creation of an object under a condition that is never met: refused for the condition, and for nothing else, is ready. */
  async check({ signal }: IoOptions): Promise<void> {
    const probe = probeName();
    await this.ask('asking whether objects can be made', signal, async (given) => {
      try {
        await this.transfer.upload(this.fullName(probe), NO_BYTES, given, NO_GENERATION);
      } catch (error) {
        if (isConditionNotMet(error)) return;
        throw error;
      }
      // An emulator that knows no conditions.
      await this.deleteOne(probe);
    });
  }

  async head(name: string, { signal }: IoOptions): Promise<StoredObject | undefined> {
    if (this.isTooLong(name)) return undefined;
    return this.ask(`looking for ${name}`, signal, async () => {
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
      return await this.patience.make({ doing: `reading ${name}`, attempt, discard }, options);
    } catch (error) {
      throw isMissingObject(error) ? new ObjectNotFoundError(name, { cause: error }) : error;
    }
  }

  async put(name: string, body: Body, options: IoOptions): Promise<void> {
    const attempt = (given: AbortSignal): Promise<void> =>
      this.transfer.upload(this.fullName(name), body, given);
    await this.patience.make({ doing: `storing ${name}`, attempt, bytes: body.bytes.length }, options);
  }

  async delete(names: readonly string[], { signal }: IoOptions): Promise<void> {
    signal?.throwIfAborted();
    const possible = names.filter((name) => !this.isTooLong(name));
    await mapBounded(possible, DELETIONS_AT_ONCE, (name) =>
      this.ask(`deleting ${name}`, signal, () => this.deleteOne(name)),
    );
  }

  async *list(prefix: string, options: IoOptions): AsyncIterable<StoredObject> {
    if (this.isTooLong(prefix)) return;
    let pageToken: string | undefined;
    do {
      const page = await this.page(prefix, pageToken, options, PAGE_LENGTH);
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
      throw new UploadStateError(`${name} is made already, or parts of it are gone`, { cause: error });
    } finally {
      // Of no use to anybody once there is the object, whoever made it; parts may be, to another attempt, until then.
      await this.clean([...composition.intermediates, ...(isMade ? sources : [])], options);
    }
  }

  async abortMultipart({ name }: Multipart, parts: readonly Part[], options: IoOptions): Promise<void> {
    await this.delete(
      parts.map(({ tag }) => partName(name, tag)),
      options,
    );
  }

  /** None: parts are objects. */
  async *listMultiparts(_prefix: string, { signal }: IoOptions): AsyncIterable<StoredMultipart> {
    signal?.throwIfAborted();
    yield* await Promise.resolve<StoredMultipart[]>([]);
  }

  /** Closes connections. Nothing is to be asked after that. */
  close(): void {
    this.transfer.close();
  }

  /** @param generation that the target must have; 0: it must not exist */
  private async compose(
    sources: readonly string[],
    target: string,
    generation: number | undefined,
    { signal }: IoOptions,
  ): Promise<void> {
    const condition = generation === undefined ? {} : { ifGenerationMatch: generation };
    await this.ask(`making ${target} of ${sources.length} parts`, signal, async () => {
      const file = this.file(target);
      file.metadata = { contentType: CONTENT_TYPE };
      await this.bucket.combine(
        sources.map((source) => this.fullName(source)),
        file,
        condition,
      );
    });
  }

  /** What is left is found by listing it, so a failure is nobody's concern here. */
  private async clean(names: readonly string[], options: IoOptions): Promise<void> {
    await withinTimeLimit(options, this.limits.cleaningMs, (signal) =>
      mapBounded(names, DELETIONS_AT_ONCE, (name) => this.delete([name], { signal }).catch(() => undefined)),
    ).catch(() => undefined);
  }

  private async deleteOne(name: string): Promise<void> {
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
    return this.ask('listing objects', signal, async () => {
      // The SDK's files lose their metadata when fields are named.
      const [, , page] = await this.bucket.getFiles(query);
      return page as Page;
    });
  }

  /**
   * V4, by the key, or by Google for a default credential that has none.
   * https://cloud.google.com/storage/docs/access-control/signed-urls
   */
  private async sign(name: string, expirySeconds: number): Promise<URL> {
    const now = Date.now();
    return this.ask(`signing a URL of ${name}`, undefined, async () => {
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

  /** Whether there is a key, or Google signs for the default credential. */
  private async canSign(): Promise<boolean> {
    if (!this.access.authenticated) return false;
    try {
      await this.sign('probe', 1);
      return true;
    } catch (error) {
      // What may pass is no answer: who starts while Google is away starts again.
      if (error instanceof StorageUnavailableError) throw error;
      return false;
    }
  }

  private async ask<T>(
    doing: string,
    signal: AbortSignal | undefined,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.patience.make({ doing, attempt }, signal ? { signal } : {});
  }

  private file(name: string): File {
    return this.bucket.file(this.fullName(name));
  }

  private fullName(name: string): string {
    return this.prefix + name;
  }

  private isTooLong(name: string): boolean {
    return Buffer.byteLength(this.fullName(name)) > MOST_NAME_BYTES;
  }
}

/** Of an upload that no row knows: what a crash leaves, the reaper finds. */
function probeName(): string {
  return `${UPLOADS}${newSegmentName(randomUUID())}`;
}

/** Of the part that has the tag; without one, of a part that nobody has made. */
function partName(name: string, tag?: string): string {
  const id = name.slice(name.lastIndexOf('/') + 1);
  return `${UPLOADS}${tag === undefined ? newSegmentName(id) : `${id}~${tag}`}`;
}

function storedObject(name: string, { size, timeCreated }: Metadata): StoredObject {
  const made = Date.parse(timeCreated ?? '');
  return { name, sizeBytes: Number(size), modifiedAt: new Date(Math.floor(made / 1000) * 1000) };
}
