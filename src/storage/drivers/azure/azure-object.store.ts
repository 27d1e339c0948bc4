import { randomBytes, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { TokenCredential } from '@azure/identity';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { mapBounded } from '../../../common/map-bounded.js';
import type { AzureSettings } from '../../../config/azure.settings.js';
import { pieceName, PIECES } from '../../object-store/names.js';
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
import type { RetryPolicy } from '../../object-store/retry-policy.js';
import type { ByteSpan, IoOptions } from '../../storage-driver.js';
import { ObjectNotFoundError, StorageError, UploadStateError } from '../../storage.errors.js';
import { type AzureAccount, openAccount } from './azure-account.js';
import { AZURE_LIMITS, type AzureLimits } from './azure-limits.js';
import { hasCode, isBlobMissing, redacted } from './azure-response.js';
import { download, dropBlocks, ignoring, stat } from './blob-requests.js';

export interface AzureOptions {
  readonly limits?: Partial<AzureLimits>;
  /** Replaces the SDK's default credential, which is used if the settings have no key. */
  readonly defaultCredential?: () => Promise<TokenCredential>;
}

/** Characters of a name with its prefix. Azure refuses every request for a longer one. */
const MAX_NAME_LENGTH = 1024;
const EMPTY_MD5 = '1B2M2Y8AsgTpgAmY7PhCfg==';
/** All block ids of a blob must have the same length. */
const BLOCK_ID_BYTES = 12;
/** The blob exists, or one of the blocks doesn't. */
const NOT_COMPLETABLE = [
  'InvalidBlockList',
  'InvalidBlockId',
  'InvalidBlobOrBlock',
  'BlobAlreadyExists',
  'ConditionNotMet',
];

/**
 * Opens the container of the settings. Sends no request, except to learn whether Berth can sign URLs.
 *
 * @throws StorageError if the settings are invalid, or Azure is unavailable.
 */
export async function openAzureObjectStore(
  settings: AzureSettings,
  { limits, defaultCredential }: AzureOptions = {},
): Promise<AzureObjectStore> {
  const all = { ...AZURE_LIMITS, ...limits };
  return new AzureObjectStore(settings, await openAccount(settings, all, defaultCredential), all);
}

/**
 * Azure Blob Storage. A multipart upload is a blob whose blocks are staged under random ids, so no writer
 * replaces another's block, and a completion names exactly its own. Azure removes uncommitted blocks a week
 * after the last one, so there is nothing to list.
 */
export class AzureObjectStore implements ObjectStore {
  readonly name = 'azure';
  readonly location: string;
  readonly maxPartNumber = 50_000;
  readonly leavesPartsOut = true;
  readonly signedUrl?: (name: string, expirySeconds: number) => Promise<URL>;

  private readonly container: ContainerClient;
  private readonly retries: RetryPolicy;
  private readonly prefix: string;

  constructor(
    settings: AzureSettings,
    { container, retries, place, sign }: AzureAccount,
    private readonly limits: AzureLimits,
  ) {
    this.container = container;
    this.retries = retries;
    this.prefix = settings.storageAzurePrefix;
    this.location = `${place.endpoint}/${place.container}/${this.prefix}`;
    if (!sign) return;
    const base = settings.storageAzurePublicEndpoint ?? place.endpoint;
    this.signedUrl = async (name, expirySeconds) => {
      const url = new URL(`${base.replace(/\/+$/, '')}/${place.container}/${this.prefix}${name}`);
      url.search = await sign({
        containerName: place.container,
        blobName: `${this.prefix}${name}`,
        expiresOn: new Date(Date.now() + expirySeconds * 1000),
        isHttps: url.protocol === 'https:',
      });
      return url;
    };
  }

  async prepare(): Promise<void> {
    await this.check({});
    await this.list(PIECES, {})[Symbol.asyncIterator]().next();
    // It has the name of an unknown upload's piece, so that the reaper finds it after a crash.
    const probe = pieceName(randomUUID(), randomBytes(8).toString('hex'));
    await this.put(probe, { bytes: Buffer.of(), md5: EMPTY_MD5 }, {});
    await this.delete([probe], {});
  }

  async check(options: IoOptions): Promise<void> {
    await this.run('use the container', options, (abortSignal) =>
      this.container.getProperties({ abortSignal }),
    );
  }

  async head(name: string, options: IoOptions): Promise<StoredObject | undefined> {
    if (this.isTooLong(name)) return undefined;
    const blob = this.blob(name);
    const found = await this.run(`look up ${name}`, options, (abortSignal) => stat(blob, abortSignal));
    return found && !found.isTombstone
      ? { name, sizeBytes: found.sizeBytes, modifiedAt: found.modifiedAt }
      : undefined;
  }

  async get(name: string, { start, end }: ByteSpan, options: IoOptions): Promise<Readable> {
    if (this.isTooLong(name)) throw new ObjectNotFoundError(name);
    const length = end - start + 1;
    return this.retries.run(
      {
        action: `read ${name}`,
        attempt: (abortSignal) => download(this.blob(name), name, { start, length, abortSignal }),
        discard: (late) => void late.destroy(),
      },
      options,
    );
  }

  async put(name: string, { bytes, md5 }: Body, options: IoOptions): Promise<void> {
    const blob = this.writable(name);
    // Azure compares the MD5 with the bytes that it receives, and keeps it.
    const blobHTTPHeaders = { blobContentMD5: Buffer.from(md5, 'base64') };
    const attempt = (abortSignal: AbortSignal): Promise<unknown> =>
      blob.upload(bytes, bytes.length, { abortSignal, blobHTTPHeaders });
    await this.run(`write ${name}`, options, attempt, bytes.length);
  }

  async delete(names: readonly string[], options: IoOptions): Promise<void> {
    options.signal?.throwIfAborted();
    await mapBounded(names, this.limits.concurrentDeletes, (name) => this.deleteOne(name, options));
  }

  async deleteMany(names: readonly string[], options: IoOptions): Promise<RefusedDeletions> {
    options.signal?.throwIfAborted();
    return deleteEach(names, this.limits.concurrentDeletes, (name) => this.deleteOne(name, options));
  }

  private async deleteOne(name: string, options: IoOptions): Promise<void> {
    if (this.isTooLong(name)) return;
    const blob = this.blob(name);
    await this.run(`delete ${name}`, options, (abortSignal) =>
      blob.delete({ abortSignal, deleteSnapshots: 'include' }).catch(ignoring(isBlobMissing)),
    );
  }

  async *list(prefix: string, options: IoOptions): AsyncIterable<StoredObject> {
    let next: string | undefined;
    do {
      const continuationToken = next;
      const page = await this.run(`list ${prefix}`, options, (abortSignal) =>
        this.page(prefix, continuationToken, abortSignal),
      );
      for (const object of page.objects) {
        options.signal?.throwIfAborted();
        yield object;
      }
      if (page.next !== undefined && page.next === next) {
        throw new StorageError('Azure does not say where the next page of its list begins');
      }
      next = page.next;
    } while (next !== undefined);
  }

  private async page(
    prefix: string,
    continuationToken: string | undefined,
    abortSignal: AbortSignal,
  ): Promise<{ objects: StoredObject[]; next: string | undefined }> {
    const listing = { prefix: `${this.prefix}${prefix}`, includeMetadata: true, abortSignal };
    const settings = { maxPageSize: this.limits.pageSize, ...(continuationToken && { continuationToken }) };
    for await (const { segment, continuationToken: next } of this.container
      .listBlobsFlat(listing)
      .byPage(settings)) {
      const blobs = segment.blobItems.filter(({ metadata }) => metadata?.['hdi_isfolder'] !== 'true');
      const objects = blobs.map(({ name, properties }) => ({
        name: name.slice(this.prefix.length),
        sizeBytes: properties.contentLength ?? 0,
        modifiedAt: properties.lastModified,
      }));
      return { objects, next: next || undefined };
    }
    return { objects: [], next: undefined };
  }

  beginMultipart(name: string, { signal }: IoOptions): Promise<Multipart> {
    return signal?.aborted === true
      ? Promise.reject(signal.reason as Error)
      : Promise.resolve({ name, id: '' });
  }

  async putPart({ name }: Multipart, number: number, body: Body, options: IoOptions): Promise<Part> {
    const tag = blockId();
    const blob = this.writable(name);
    const { bytes } = body;
    const transactionalContentMD5 = Buffer.from(body.md5, 'base64');
    const attempt = (abortSignal: AbortSignal): Promise<unknown> =>
      blob.stageBlock(tag, bytes, bytes.length, { abortSignal, transactionalContentMD5 });
    await this.run(`write a part of ${name}`, options, attempt, bytes.length);
    return { number, tag };
  }

  /**
   * Succeeds only while there is no blob, so a late completion can't replace an object, or the blob of an
   * abort. If Azure's response is lost, the retry finds the blob and rejects with {@link UploadStateError}.
   */
  async completeMultipart({ name }: Multipart, parts: readonly Part[], options: IoOptions): Promise<void> {
    const blob = this.blob(name);
    const ids = parts.map(({ tag }) => tag);
    const attempt = (abortSignal: AbortSignal): Promise<unknown> =>
      blob.commitBlockList(ids, { abortSignal, conditions: { ifNoneMatch: '*' } }).catch((error: unknown) => {
        if (!hasCode(error, ...NOT_COMPLETABLE)) throw error;
        const cause = redacted(error);
        throw new UploadStateError(`${name} exists already, or its blocks are missing`, { cause });
      });
    await this.run(`complete ${name}`, options, attempt);
  }

  /** Two requests, even if nothing was staged: asking costs as much. */
  async abortMultipart({ name }: Multipart, _parts: readonly Part[], options: IoOptions): Promise<void> {
    const blob = this.blob(name);
    await this.run(`abort the upload of ${name}`, options, (abortSignal) => dropBlocks(blob, abortSignal));
  }

  /** Empty: Azure removes blocks itself, and lists them only blob by blob. */
  async *listMultiparts(_prefix: string, { signal }: IoOptions): AsyncIterable<StoredMultipart> {
    signal?.throwIfAborted();
    await Promise.resolve();
  }

  private run<T>(
    action: string,
    options: IoOptions,
    attempt: (signal: AbortSignal) => Promise<T>,
    bytes = 0,
  ): Promise<T> {
    return this.retries.run({ action, attempt, bytes }, options);
  }

  private blob(name: string): BlockBlobClient {
    return this.container.getBlockBlobClient(`${this.prefix}${name}`);
  }

  private writable(name: string): BlockBlobClient {
    if (this.isTooLong(name)) {
      throw new StorageError(
        `${this.prefix}${name} is longer than ${MAX_NAME_LENGTH} characters, the maximum for a blob's name`,
      );
    }
    return this.blob(name);
  }

  private isTooLong(name: string): boolean {
    return this.prefix.length + name.length > MAX_NAME_LENGTH;
  }
}

/**
 * Random, in base64 as Azure requires. Made of hex digits, whose base64 has no character that a URL escapes.
 */
function blockId(): string {
  return Buffer.from(randomBytes(BLOCK_ID_BYTES).toString('hex')).toString('base64');
}
