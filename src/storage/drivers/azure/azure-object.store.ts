import { randomBytes, randomUUID } from 'node:crypto';
import { pipeline, type Readable } from 'node:stream';
import type { TokenCredential } from '@azure/identity';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import type { AzureSettings } from '../../../config/azure.settings.js';
import { mapBounded } from '../../object-store/bounded.js';
import { pieceName, PIECES } from '../../object-store/names.js';
import type {
  Body,
  Multipart,
  ObjectStore,
  Part,
  StoredMultipart,
  StoredObject,
} from '../../object-store/object-store.js';
import type { PatientCall } from '../../object-store/patience.js';
import type { ByteSpan, IoOptions } from '../../storage-driver.js';
import { ObjectNotFoundError, StorageError, UploadStateError } from '../../storage.errors.js';
import { type AzureAccount, openAccount } from './azure-account.js';
import { answered, isBlobMissing, shorn } from './azure-answer.js';
import type { AzureCalls } from './azure-calls.js';
import { failureOf } from './azure.errors.js';
import { AZURE_LIMITS, type AzureLimits } from './azure-limits.js';
import { destroy, download, dropBlocks, lookAt, unless } from './blob-requests.js';
import { GuardedBody } from './guarded-body.js';

export interface AzureOptions {
  readonly limits?: Partial<AzureLimits>;
  /** In place of the SDK's default credential, which is only loaded where the settings have no key. */
  readonly defaultCredential?: () => Promise<TokenCredential>;
}

/** Of a name with its prefix, in characters; Azure answers a longer one with an error, whatever is asked. */
const LONGEST_NAME = 1024;
const MD5_OF_NOTHING = '1B2M2Y8AsgTpgAmY7PhCfg==';
/** All block ids of a blob must have one length. */
const BLOCK_ID_BYTES = 12;
/** The blob or its blocks aren't what the completion takes them for. */
const NOT_AS_TOLD = [
  'InvalidBlockList',
  'InvalidBlockId',
  'InvalidBlobOrBlock',
  'BlobAlreadyExists',
  'ConditionNotMet',
];

/**
 * Block blobs of one container, in the account that the settings name. Asks Azure no more than whether URLs can be signed;
 * rejects with a `StorageError` when the settings can't be used, or Azure doesn't answer that.
 */
export async function openAzureObjectStore(
  settings: AzureSettings,
  { limits, defaultCredential }: AzureOptions = {},
): Promise<AzureObjectStore> {
  const all = { ...AZURE_LIMITS, ...limits };
  return new AzureObjectStore(settings, await openAccount(settings, all, defaultCredential), all);
}

/**
 * Azure Blob Storage. A multipart is a blob without content whose blocks are staged under random ids: two writers never
 * put a block in place of the other's, and a completion names exactly those that it wants. What is staged and never
 * committed Azure removes by itself, a week after the last block: nothing needs to be listed.
 */
export class AzureObjectStore implements ObjectStore {
  readonly name = 'azure';
  readonly location: string;
  readonly maxPartNumber = 50_000;
  readonly leavesPartsOut = true;
  readonly signedUrl?: (name: string, expirySeconds: number) => Promise<URL>;

  private readonly container: ContainerClient;
  private readonly calls: AzureCalls;
  private readonly prefix: string;

  constructor(
    settings: AzureSettings,
    private readonly account: AzureAccount,
    private readonly limits: AzureLimits,
  ) {
    const { container, calls, place, sign } = account;
    this.container = container;
    this.calls = calls;
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
    // Of an upload that no row knows: what a crash leaves here, the reaper finds.
    const probe = pieceName(randomUUID(), randomBytes(8).toString('hex'));
    await this.put(probe, { bytes: Buffer.of(), md5: MD5_OF_NOTHING }, {});
    await this.delete([probe], {});
  }

  async check(options: IoOptions): Promise<void> {
    const attempt = (abortSignal: AbortSignal): Promise<unknown> =>
      this.container.getProperties({ abortSignal });
    await this.make({ doing: 'answer', attempt }, options);
  }

  async head(name: string, options: IoOptions): Promise<StoredObject | undefined> {
    if (this.isTooLong(name)) return undefined;
    const blob = this.blob(name);
    const attempt = (abortSignal: AbortSignal): ReturnType<typeof lookAt> => lookAt(blob, abortSignal);
    const found = await this.make({ doing: `look for ${name}`, attempt }, options);
    return found && !found.isTombstone
      ? { name, sizeBytes: found.sizeBytes, modifiedAt: found.modifiedAt }
      : undefined;
  }

  async get(name: string, { start, end }: ByteSpan, options: IoOptions): Promise<Readable> {
    if (this.isTooLong(name)) throw new ObjectNotFoundError(name);
    const doing = `read ${name}`;
    const length = end - start + 1;
    const call: PatientCall<NodeJS.ReadableStream> = {
      doing,
      attempt: (abortSignal) => download(this.blob(name), name, { start, length, abortSignal }),
      discard: destroy,
    };
    const source = await this.make(call, options);
    const body = new GuardedBody(length, this.limits.idleMs, (error) =>
      failureOf(error, doing, this.account.place),
    );
    // Each ends the other. What went wrong is told to whoever reads the body.
    pipeline(source, body, () => undefined);
    return body;
  }

  async put(name: string, { bytes, md5 }: Body, options: IoOptions): Promise<void> {
    const blob = this.writable(name);
    const attempt = (abortSignal: AbortSignal): Promise<unknown> =>
      // Azure compares it with the bytes that arrive, and keeps it.
      blob.upload(bytes, bytes.length, {
        abortSignal,
        blobHTTPHeaders: { blobContentMD5: Buffer.from(md5, 'base64') },
      });
    await this.make({ doing: `write ${name}`, attempt, bytes: bytes.length }, options);
  }

  async delete(names: readonly string[], options: IoOptions): Promise<void> {
    options.signal?.throwIfAborted();
    await mapBounded(names, this.limits.deletesAtOnce, (name) => this.deleteOne(name, options));
  }

  private async deleteOne(name: string, options: IoOptions): Promise<void> {
    if (this.isTooLong(name)) return;
    const blob = this.blob(name);
    const attempt = (abortSignal: AbortSignal): Promise<unknown> =>
      blob.delete({ abortSignal, deleteSnapshots: 'include' }).catch(unless(isBlobMissing));
    await this.make({ doing: `delete ${name}`, attempt }, options);
  }

  async *list(prefix: string, options: IoOptions): AsyncIterable<StoredObject> {
    let next: string | undefined;
    do {
      const continuationToken = next;
      const attempt = (abortSignal: AbortSignal): ReturnType<AzureObjectStore['page']> =>
        this.page(prefix, continuationToken, abortSignal);
      const page = await this.make({ doing: `list ${prefix}`, attempt }, options);
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
    await this.make({ doing: `take a part of ${name}`, attempt, bytes: bytes.length }, options);
    return { number, tag };
  }

  /**
   * Only where there is no blob yet: a completion that comes late can't make another object of one that was made, nor of
   * the one whose upload is just being aborted. When Azure's answer is lost, the next attempt finds the blob and
   * rejects with {@link UploadStateError}.
   */
  async completeMultipart({ name }: Multipart, parts: readonly Part[], options: IoOptions): Promise<void> {
    const blob = this.blob(name);
    const ids = parts.map(({ tag }) => tag);
    const attempt = (abortSignal: AbortSignal): Promise<unknown> =>
      blob.commitBlockList(ids, { abortSignal, conditions: { ifNoneMatch: '*' } }).catch((error: unknown) => {
        if (!answered(error, ...NOT_AS_TOLD)) throw error;
        const cause = shorn(error);
        throw new UploadStateError(`${name} can't be made of these blocks, or is there already`, { cause });
      });
    await this.make({ doing: `make ${name} of its blocks`, attempt }, options);
  }

  /** Costs two requests, also where nothing was staged: whether it was can't be asked for less. */
  async abortMultipart({ name }: Multipart, _parts: readonly Part[], options: IoOptions): Promise<void> {
    const attempt = (abortSignal: AbortSignal): Promise<void> => dropBlocks(this.blob(name), abortSignal);
    await this.make({ doing: `drop the blocks of ${name}`, attempt }, options);
  }

  /** None: Azure removes blocks a week after the last one, and could only be asked for them blob by blob. */
  async *listMultiparts(_prefix: string, { signal }: IoOptions): AsyncIterable<StoredMultipart> {
    signal?.throwIfAborted();
    await Promise.resolve();
  }

  private make<T>(call: PatientCall<T>, options: IoOptions): Promise<T> {
    return this.calls.make(call, options);
  }

  private blob(name: string): BlockBlobClient {
    return this.container.getBlockBlobClient(`${this.prefix}${name}`);
  }

  private writable(name: string): BlockBlobClient {
    if (this.isTooLong(name)) {
      throw new StorageError(
        `${this.prefix}${name} is longer than the ${LONGEST_NAME} characters of a blob's name`,
      );
    }
    return this.blob(name);
  }

  private isTooLong(name: string): boolean {
    return this.prefix.length + name.length > LONGEST_NAME;
  }
}

/** Random, in base64 as Azure wants it; of hexadecimal digits, as that has no character that a URL changes. */
function blockId(): string {
  return Buffer.from(randomBytes(BLOCK_ID_BYTES).toString('hex')).toString('base64');
}
