import type { S3Client } from '@aws-sdk/client-s3';
import type { S3Settings } from '../../../config/s3.settings.js';
import { TimeoutError, withTimeout } from '../../object-store/timeout.js';
import type { IoOptions } from '../../storage-driver.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { makeS3Client } from './s3-client.js';
import { toStorageError } from './s3.errors.js';
import type { S3Options } from './s3.options.js';

/** Maximum of S3 for a key with its prefix. */
const MAX_KEY_BYTES = 1024;

export interface S3Call {
  /** For error messages, as in "could not …". */
  readonly action: string;
  /** Time for all attempts; `callMs` by default. */
  readonly ms?: number;
}

/** For the SDK's `send`: aborts all attempts, and limits how long one attempt waits for response headers. */
export interface S3RequestOptions {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

/** Calls S3 with a deadline and Berth's errors. The SDK retries. */
export class S3Caller {
  readonly client: S3Client;
  readonly bucket: string;
  readonly prefix: string;
  /** For error messages. */
  readonly endpoint: string;
  private hasSucceeded = false;

  constructor(
    settings: S3Settings,
    readonly options: S3Options,
  ) {
    this.client = makeS3Client(settings, options);
    this.bucket = settings.storageS3Bucket;
    this.prefix = settings.storageS3Prefix;
    this.endpoint = settings.storageS3Endpoint ?? `AWS (${settings.storageS3Region})`;
  }

  /**
   * Rejects with the signal's reason, or with a {@link StorageError}.
   *
   * @param handlers `known` may turn an expected error into a result; `discard` closes a result that came too
   * late.
   */
  async call<T>(
    { action, ms = this.options.callMs }: S3Call,
    options: IoOptions,
    work: (http: S3RequestOptions) => Promise<T>,
    { known, discard }: { known?: (error: unknown) => T | undefined; discard?: (late: T) => void } = {},
  ): Promise<T> {
    // If a connection hangs, there must be time for another one.
    const requestTimeout = ms - (2 / 3) * this.options.callMs;
    const translated = async (abortSignal: AbortSignal): Promise<T> => {
      try {
        const result = await work({ abortSignal, requestTimeout });
        this.hasSucceeded = true;
        return result;
      } catch (error) {
        const value = known?.(error);
        if (value !== undefined) return value;
        const { bucket, endpoint, hasSucceeded } = this;
        throw toStorageError(error, { action, bucket, endpoint, hasSucceeded });
      }
    };
    try {
      return await withTimeout(options, ms, translated, discard);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      throw new StorageUnavailableError(`could not ${action} within ${ms / 1000} s`, { cause: error });
    }
  }

  /** Returns undefined if the key would be too long, so that no such object can exist. */
  keyOf(name: string): string | undefined {
    const key = this.prefix + name;
    return Buffer.byteLength(key) > MAX_KEY_BYTES ? undefined : key;
  }

  /** Like {@link keyOf}, for an object that is written. @throws StorageError if the key is too long. */
  newKeyOf(name: string): string {
    const key = this.keyOf(name);
    if (key === undefined) throw new StorageError(`a key is longer than S3's ${MAX_KEY_BYTES} bytes`);
    return key;
  }

  nameOf(key: string): string {
    return key.slice(this.prefix.length);
  }
}
