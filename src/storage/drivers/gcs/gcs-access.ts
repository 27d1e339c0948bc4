import { IdempotencyStrategy, Storage, type StorageOptions } from '@google-cloud/storage';
import type { GcsSettings } from '../../../config/gcs.settings.js';
import { StorageError } from '../../storage.errors.js';
import { checkKeyFile } from './gcs-key-file.js';
import type { GcsPlace } from './gcs.errors.js';

type GaxiosOptions = NonNullable<NonNullable<StorageOptions['clientOptions']>['transporterOptions']>;

const GOOGLE = 'https://storage.googleapis.com';

/** Where the bucket is, and with which credential it is asked. */
export interface GcsAccess {
  readonly place: GcsPlace;
  /** What clients call the endpoint. */
  readonly publicEndpoint: string;
  readonly storage: Storage;
  /** Headers of the credential; none where there is no credential. */
  readonly authorize: (url: string) => Promise<Record<string, string>>;
  /** Whether there is a credential. */
  readonly authenticated: boolean;
}

export interface GcsAccessOptions {
  readonly idleMs: number;
  /** Who is asked for the tokens of a service account. Unset: Google, whatever the `token_uri` of the key file says. */
  readonly tokenUrl?: string | undefined;
}

/**
 * Requests go without a credential only where an `http:` endpoint is set and no key file: to an emulator, that is. Default
 * credentials never go over a wire that anybody can read, and no private `https:` endpoint is asked anonymously.
 */
export function openGcsAccess(settings: GcsSettings, { idleMs, tokenUrl }: GcsAccessOptions): GcsAccess {
  const endpoint = withoutSlash(settings.storageGcsEndpoint ?? GOOGLE);
  const keyFile = settings.storageGcsKeyFile;
  const authenticated = keyFile !== undefined || endpoint.startsWith('https:');
  const storage = new Storage({
    ...(settings.storageGcsEndpoint !== undefined && { apiEndpoint: endpoint }),
    ...(keyFile !== undefined && { keyFilename: keyFile }),
    useAuthWithCustomEndpoint: authenticated,
    clientOptions: {
      transporterOptions: { timeout: idleMs, ...(tokenUrl !== undefined && redirected(tokenUrl)) },
    },
    timeout: idleMs,
    // All attempts are GcsPatience's. RetryNever, since a composition ignores the first of these.
    retryOptions: { autoRetry: false, maxRetries: 0, idempotencyStrategy: IdempotencyStrategy.RetryNever },
  });
  return {
    place: { bucket: settings.storageGcsBucket, endpoint, keyFile },
    publicEndpoint: withoutSlash(settings.storageGcsPublicEndpoint ?? endpoint),
    storage,
    authorize: async (url) => (authenticated ? storage.authClient.getRequestHeaders(url) : {}),
    authenticated,
  };
}

/** @throws StorageError when the surroundings would make the SDK do something else than the settings say. */
export async function checkGcsAccess({ keyFile, endpoint }: GcsPlace): Promise<void> {
  const emulator = process.env['STORAGE_EMULATOR_HOST'];
  if (emulator !== undefined && withoutSlash(emulator) !== endpoint) {
    throw new StorageError(
      "STORAGE_EMULATOR_HOST is set, which overrides the endpoint in a part of Google's SDK: unset it, and set STORAGE_GCS_ENDPOINT for an emulator",
    );
  }
  if (keyFile !== undefined) await checkKeyFile(keyFile);
}

/** The SDK (google-auth-library 9) has no setting for it; all that goes by its transport are requests for tokens. */
function redirected(url: string): GaxiosOptions {
  return { adapter: (options, send) => send({ ...options, url }) };
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
