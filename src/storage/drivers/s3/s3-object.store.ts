import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { S3Settings } from '../../../config/s3.settings.js';
import { PIECES } from '../../object-store/names.js';
import type {
  Body,
  Multipart,
  ObjectStore,
  Part,
  RefusedDeletions,
  StoredMultipart,
  StoredObject,
} from '../../object-store/object-store.js';
import type { ByteSpan, IoOptions } from '../../storage-driver.js';
import { ObjectNotFoundError, StorageError, UploadStateError } from '../../storage.errors.js';
import { type S3Call, S3Caller } from './s3-caller.js';
import { makeS3Client } from './s3-client.js';
import { expectNoneRefused } from '../../object-store/refused-deletions.js';
import { deleteObjects } from './s3-deletion.js';
import { isCode, isInternal, isMissing } from './s3.errors.js';
import { listMultiparts, listObjects, wholeSeconds } from './s3-listing.js';
import { probeMultiparts, probeWriting } from './s3-probes.js';
import { S3_DEFAULTS, type S3Options } from './s3.options.js';

const CONTENT_TYPE = 'application/octet-stream';
const MIB = 1024 * 1024;

/** A bucket of S3, or of a store that speaks its protocol. */
export class S3ObjectStore implements ObjectStore {
  readonly name = 's3';
  readonly location: string;
  readonly maxPartNumber = 10_000;

  private readonly caller: S3Caller;
  private readonly client: S3Client;
  private readonly bucket: string;
  /** Signs for the endpoint that clients use. */
  private readonly signer: S3Client;
  private readonly options: S3Options;
  private canLeavePartsOut = false;
  /** Encryption and storage class of every object. */
  private readonly objectSettings;

  constructor(settings: S3Settings, options: Partial<S3Options> = {}) {
    this.options = { ...S3_DEFAULTS, ...options };
    this.caller = new S3Caller(settings, this.options);
    this.client = this.caller.client;
    this.bucket = this.caller.bucket;
    const { storageS3PublicEndpoint: publicEndpoint } = settings;
    this.signer =
      publicEndpoint === undefined ? this.client : makeS3Client(settings, this.options, publicEndpoint);
    this.location = `s3://${this.bucket}/${this.caller.prefix} at ${this.caller.endpoint}`;
    this.objectSettings = {
      ContentType: CONTENT_TYPE,
      ServerSideEncryption: settings.storageS3ServerSideEncryption,
      SSEKMSKeyId: settings.storageS3SseKmsKeyId,
      // The settings allow classes that are newer than the SDK.
      StorageClass: settings.storageS3StorageClass as 'STANDARD' | undefined,
    };
  }

  /** Set by {@link prepare}. Until then false, which is safe with every store. */
  get leavesPartsOut(): boolean {
    return this.canLeavePartsOut;
  }

  /** Makes every kind of request that uploads need, so that a missing permission shows at the start. */
  async prepare(): Promise<void> {
    await this.check({});
    await probeWriting(this);
    this.canLeavePartsOut = await probeMultiparts(this);
  }

  /** Lists one object. A write would cost money, and leave a version in a bucket that keeps versions. */
  async check(options: IoOptions): Promise<void> {
    const Prefix = this.caller.prefix + PIECES;
    const command = new ListObjectsV2Command({ Bucket: this.bucket, Prefix, MaxKeys: 1 });
    await this.caller.call({ action: 'use the bucket' }, options, (http) => this.client.send(command, http));
  }

  async head(name: string, options: IoOptions): Promise<StoredObject | undefined> {
    options.signal?.throwIfAborted();
    const Key = this.caller.keyOf(name);
    if (Key === undefined) return undefined;
    const response = await this.caller.call<HeadObjectCommandOutput | 'missing'>(
      { action: 'look up an object' },
      options,
      (http) => this.client.send(new HeadObjectCommand({ Bucket: this.bucket, Key }), http),
      { known: (error) => (isMissing(error) ? 'missing' : undefined) },
    );
    if (response === 'missing') {
      // A missing bucket gives the same response to HEAD, so check the bucket.
      await this.check(options);
      return undefined;
    }
    return { name, sizeBytes: response.ContentLength ?? 0, modifiedAt: wholeSeconds(response.LastModified) };
  }

  async get(name: string, { start, end }: ByteSpan, options: IoOptions): Promise<Readable> {
    options.signal?.throwIfAborted();
    const Key = this.caller.keyOf(name);
    if (Key === undefined) throw new ObjectNotFoundError(name);
    const command = new GetObjectCommand({ Bucket: this.bucket, Key, Range: `bytes=${start}-${end}` });
    return this.caller.call(
      { action: 'read an object' },
      options,
      async (http) => {
        try {
          return spanOf(await this.client.send(command, http), { start, end });
        } catch (error) {
          if (isMissing(error)) throw new ObjectNotFoundError(name, { cause: error });
          throw error;
        }
      },
      { discard: (late) => void late.on('error', () => undefined).destroy() },
    );
  }

  async put(name: string, { bytes, md5 }: Body, options: IoOptions): Promise<void> {
    options.signal?.throwIfAborted();
    const command = new PutObjectCommand({
      Bucket: this.bucket,
      Key: this.caller.newKeyOf(name),
      Body: bytes,
      ContentMD5: md5,
      ...this.objectSettings,
    });
    await this.caller.call(this.sending('write an object', bytes), options, (http) =>
      this.client.send(command, http),
    );
  }

  async delete(names: readonly string[], options: IoOptions): Promise<void> {
    expectNoneRefused(await this.deleteMany(names, options));
  }

  deleteMany(names: readonly string[], options: IoOptions): Promise<RefusedDeletions> {
    return deleteObjects(this.caller, names, options);
  }

  list(prefix: string, options: IoOptions): AsyncIterable<StoredObject> {
    return listObjects(this.caller, prefix, options);
  }

  async beginMultipart(name: string, options: IoOptions): Promise<Multipart> {
    options.signal?.throwIfAborted();
    const Key = this.caller.newKeyOf(name);
    const command = new CreateMultipartUploadCommand({ Bucket: this.bucket, Key, ...this.objectSettings });
    const { UploadId } = await this.caller.call({ action: 'start a multipart upload' }, options, (http) =>
      this.client.send(command, http),
    );
    if (UploadId === undefined) throw new StorageError('the store returned no id for a multipart upload');
    return { name, id: UploadId };
  }

  async putPart(multipart: Multipart, number: number, body: Body, options: IoOptions): Promise<Part> {
    options.signal?.throwIfAborted();
    const command = new UploadPartCommand({
      ...this.uploadOf(multipart),
      PartNumber: number,
      Body: body.bytes,
      ContentMD5: body.md5,
    });
    const { ETag } = await this.caller.call(this.sending('write a part', body.bytes), options, (http) =>
      this.client.send(command, http),
    );
    if (ETag === undefined) throw new StorageError('the store returned no ETag for a part');
    return { number, tag: ETag };
  }

  async completeMultipart(multipart: Multipart, parts: readonly Part[], options: IoOptions): Promise<void> {
    options.signal?.throwIfAborted();
    const command = new CompleteMultipartUploadCommand({
      ...this.uploadOf(multipart),
      MultipartUpload: { Parts: parts.map(({ number, tag }) => ({ PartNumber: number, ETag: tag })) },
    });
    const call = { action: 'complete a multipart upload', ms: this.options.completeMs };
    try {
      await this.caller.call(call, options, (http) => this.client.send(command, http));
    } catch (error) {
      // Ceph responds 500 instead of NoSuchUpload (https://tracker.ceph.com/issues/75534).
      if (isInternal(error) && (await this.isGone(multipart, options))) {
        throw new UploadStateError('the multipart upload does not exist', { cause: error });
      }
      throw error;
    }
  }

  async abortMultipart(multipart: Multipart, _parts: readonly Part[], options: IoOptions): Promise<void> {
    options.signal?.throwIfAborted();
    const command = new AbortMultipartUploadCommand(this.uploadOf(multipart));
    await this.caller.call(
      { action: 'abort a multipart upload' },
      options,
      (http) => this.client.send(command, http),
      { known: (error) => (isCode(error, 'NoSuchUpload') ? { $metadata: {} } : undefined) },
    );
  }

  listMultiparts(prefix: string, options: IoOptions): AsyncIterable<StoredMultipart> {
    return listMultiparts(this.caller, prefix, options);
  }

  async signedUrl(name: string, expirySeconds: number): Promise<URL> {
    const command = new GetObjectCommand({
      Bucket: this.bucket,
      Key: this.caller.newKeyOf(name),
      ResponseContentType: CONTENT_TYPE,
    });
    // The SDK corrects the clock by the store's responses, but only for requests that it sends itself.
    const signingDate = new Date(Date.now() + this.client.config.systemClockOffset);
    const url = await this.caller.call({ action: 'sign a URL' }, {}, () =>
      getSignedUrl(this.signer, command, { expiresIn: expirySeconds, signingDate }),
    );
    return new URL(url);
  }

  /** Closes connections. The store can't be used after that. */
  destroy(): void {
    this.client.destroy();
    this.signer.destroy();
  }

  private isGone(multipart: Multipart, options: IoOptions): Promise<boolean> {
    const command = new ListPartsCommand({ ...this.uploadOf(multipart), MaxParts: 1 });
    return this.caller.call(
      { action: 'look up a multipart upload' },
      options,
      async (http) => {
        await this.client.send(command, http);
        return false;
      },
      { known: (error) => isCode(error, 'NoSuchUpload', 'NoSuchKey') || undefined },
    );
  }

  private uploadOf({ name, id }: Multipart): { Bucket: string; Key: string; UploadId: string } {
    return { Bucket: this.bucket, Key: this.caller.newKeyOf(name), UploadId: id };
  }

  private sending(action: string, { length }: Buffer): S3Call {
    return { action, ms: this.options.callMs + Math.ceil((length / MIB) * this.options.msPerMib) };
  }
}

/**
 * Returns the stream of a response.
 *
 * @throws StorageError if the store ignored the range, and sends other bytes.
 */
function spanOf(
  { Body: body, ContentRange, ContentLength }: GetObjectCommandOutput,
  span: ByteSpan,
): Readable {
  if (!(body instanceof Readable)) throw new StorageError('the store returned no bytes');
  const { start, end } = span;
  const length = end - start + 1;
  const fits = ContentRange === undefined ? start === 0 : ContentRange.startsWith(`bytes ${start}-${end}/`);
  if (fits && (ContentLength === undefined || ContentLength === length)) return body;
  body.on('error', () => undefined).destroy();
  throw new StorageError(`the store returned other bytes than ${start} to ${end}`);
}
