import { IdempotencyStrategy, Storage, type StorageOptions } from '@google-cloud/storage';
import type { GcsSettings } from '../../../config/gcs.settings.js';
import { isLoopback } from '../../../common/loopback.js';
import { StorageError } from '../../storage.errors.js';
import { checkKeyFile, foreignTokenUrl } from './gcs-key-file.js';
import type { GcsPlace } from './gcs.errors.js';

type GaxiosOptions = NonNullable<NonNullable<StorageOptions['clientOptions']>['transporterOptions']>;

const GOOGLE = 'https://storage.googleapis.com';

/** Where the bucket is, and the credential for it. */
export interface GcsAccess {
  readonly place: GcsPlace;
  /** The endpoint in URLs for clients. */
  readonly publicEndpoint: string;
  readonly storage: Storage;
  /** Returns the headers of the credential; none without a credential. */
  readonly authorize: (url: string) => Promise<Record<string, string>>;
  /** Whether there is a credential. */
  readonly authenticated: boolean;
}

/**
 * Requests are anonymous only if an `http:` endpoint is set and no key file, as for an emulator. Default
 * credentials are never sent unencrypted, and requests to an `https:` endpoint are never anonymous.
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
    // RetryPolicy retries. A composition ignores `autoRetry`, so RetryNever is needed, too.
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

/** @throws StorageError if the environment or the key file contradicts the settings. */
export async function checkGcsAccess({ keyFile, endpoint }: GcsPlace): Promise<void> {
  const emulator = process.env['STORAGE_EMULATOR_HOST'];
  if (emulator !== undefined && withoutSlash(emulator) !== endpoint) {
    throw new StorageError(
      "STORAGE_EMULATOR_HOST overrides the endpoint in parts of Google's SDK: unset it, and set " +
        'STORAGE_GCS_ENDPOINT for an emulator',
    );
  }
  if (keyFile === undefined) return;
  if (isUnencrypted(endpoint)) {
    throw new StorageError(
      'with STORAGE_GCS_KEY_FILE Berth sends tokens, which need https://: check ' +
        'STORAGE_GCS_ENDPOINT, or unset the key file for an emulator',
    );
  }
  await checkKeyFile(keyFile);
}

/** Returns whether others could read the traffic. */
function isUnencrypted(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint);
  return protocol !== 'https:' && !isLoopback(hostname.replace(/^\[|\]$/g, ''));
}

/** Google's SDK (google-auth-library 9) uses this URL and ignores the one in the key file. */
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
