import type { S3Client } from '@aws-sdk/client-s3';
import type { S3Settings } from '../../../config/s3.settings.js';
import type { IoOptions } from '../../storage-driver.js';
import { TimeLimitError, withinTimeLimit } from '../../object-store/time-limit.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { toStorageError } from './s3.errors.js';
import { makeS3Client } from './s3-client.js';
import type { S3Options } from './s3.options.js';

/** S3's bound of a key, prefix included. */
const MAX_KEY_BYTES = 1024;

/** What a call does, for a sentence (`could not …`), and what it may take. */
export interface Call {
  readonly action: string;
  /** Unset: `callMs`. */
  readonly ms?: number;
}

/** For the SDK's `send`: when to give up all attempts, and how long each may wait for the head of its answer. */
export interface S3Attempts {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

/** The bucket and prefix of the settings, and the one way to call S3 about them: with a deadline, and Berth's errors. */
export class S3Caller {
  readonly client: S3Client;
  readonly bucket: string;
  readonly prefix: string;
  /** For sentences. */
  readonly endpoint: string;
  private wasLetIn = false;

  constructor(
    settings: S3Settings,
    readonly options: S3Options,
  ) {
    this.client = makeS3Client(settings, options);
    this.bucket = settings.storageS3Bucket;
    this.prefix = settings.storageS3Prefix;
    this.endpoint = settings.storageS3Endpoint ?? `AWS (${settings.storageS3Region})`;
  }

  /** Rejects with the signal's reason, or with a {@link StorageError}; `known` answers for errors that are none. */
  async call<T>(
    { action, ms = this.options.callMs }: Call,
    options: IoOptions,
    work: (http: S3Attempts) => Promise<T>,
    { known, discard }: { known?: (error: unknown) => T | undefined; discard?: (late: T) => void } = {},
  ): Promise<T> {
    // A connection that has died in silence must leave time for another one.
    const requestTimeout = ms - (2 / 3) * this.options.callMs;
    const translated = async (abortSignal: AbortSignal): Promise<T> => {
      try {
        const answer = await work({ abortSignal, requestTimeout });
        this.wasLetIn = true;
        return answer;
      } catch (error) {
        const value = known?.(error);
        if (value !== undefined) return value;
        const { bucket, endpoint, wasLetIn } = this;
        throw toStorageError(error, { action, bucket, endpoint, wasLetIn });
      }
    };
    try {
      return await withinTimeLimit(options, ms, translated, discard);
    } catch (error) {
      if (!(error instanceof TimeLimitError)) throw error;
      throw new StorageUnavailableError(`could not ${action} within ${ms / 1000} s`, { cause: error });
    }
  }

  /** The key of a name; nothing where it is longer than a key can be, so that there is no such object. */
  keyOf(name: string): string | undefined {
    const key = this.prefix + name;
    return Buffer.byteLength(key) > MAX_KEY_BYTES ? undefined : key;
  }

  /** The key of an object to be. */
  newKeyOf(name: string): string {
    const key = this.keyOf(name);
    if (key === undefined) throw new StorageError(`a name is longer than the ${MAX_KEY_BYTES} bytes of S3`);
    return key;
  }

  nameOf(key: string): string {
    return key.slice(this.prefix.length);
  }
}
