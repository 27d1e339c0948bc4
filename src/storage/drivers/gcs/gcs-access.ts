import { IdempotencyStrategy, Storage, type StorageOptions } from '@google-cloud/storage';
import type { GcsSettings } from '../../../config/gcs.settings.js';
import { isLoopback } from '../../../common/loopback.js';
import { StorageError } from '../../storage.errors.js';
import { checkKeyFile, foreignTokenUrl } from './gcs-key-file.js';
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

/**
 * Requests go without a credential only where an `http:` endpoint is set and no key file: to an emulator, that is. Default
 * credentials never go over a wire that anybody can read, and no private `https:` endpoint is asked anonymously.
 */
export function openGcsAccess(settings: GcsSettings, idleMs: number): GcsAccess {
  const endpoint = withoutSlash(settings.storageGcsEndpoint ?? GOOGLE);
  const keyFile = settings.storageGcsKeyFile;
  const authenticated = keyFile !== undefined || endpoint.startsWith('https:');
  const storage = new Storage({
    ...(settings.storageGcsEndpoint !== undefined && { apiEndpoint: endpoint }),
    ...(keyFile !== undefined && { keyFilename: keyFile }),
    useAuthWithCustomEndpoint: authenticated,
    clientOptions: {
      transporterOptions: { timeout: idleMs, ...(keyFile !== undefined && tokensOf(keyFile)) },
    },
    timeout: idleMs,
    // All attempts are Patience's. RetryNever, since a composition ignores the first of these.
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
  if (keyFile === undefined) return;
  if (isReadable(endpoint)) {
    throw new StorageError(
      'with STORAGE_GCS_KEY_FILE Berth sends tokens, which only go over https://: check STORAGE_GCS_ENDPOINT, or unset the key file for an emulator',
    );
  }
  await checkKeyFile(keyFile);
}

/** By whoever is on the way. */
function isReadable(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint);
  return protocol !== 'https:' && !isLoopback(hostname.replace(/^\[|\]$/g, ''));
}

/** Google's SDK (google-auth-library 9) asks this one, and none that the key file names. */
const GOOGLE_TOKENS = 'https://www.googleapis.com/oauth2/v4/token';

function tokensOf(keyFile: string): GaxiosOptions {
  return {
    adapter: async (options, send) => {
      const url = options.url?.toString() === GOOGLE_TOKENS ? await foreignTokenUrl(keyFile) : undefined;
      return send(url === undefined ? options : { ...options, url });
    },
  };
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
