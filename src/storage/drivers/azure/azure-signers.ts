import {
  BlobSASPermissions,
  generateBlobSASQueryParameters,
  SASProtocol,
  type StorageSharedKeyCredential,
  type UserDelegationKey,
} from '@azure/storage-blob';

/** Returns the query (a shared access signature) of a URL with which a client can read one blob. */
export type BlobSigner = (blob: SignedBlob) => Promise<string>;

export interface SignedBlob {
  readonly containerName: string;
  readonly blobName: string;
  readonly expiresOn: Date;
  /** The URL is valid for https only. */
  readonly isHttps: boolean;
}

/** Signs with the account's key, without a request. */
export function keySigner(credential: StorageSharedKeyCredential): BlobSigner {
  return (blob) => Promise.resolve(generateBlobSASQueryParameters(valuesOf(blob), credential).toString());
}

const MINUTE_MS = 60_000;
/** Azure allows at most a week. */
const KEY_LIFETIME_MS = 24 * 60 * MINUTE_MS;
/** Azure's clock may be behind this machine's. */
const CLOCK_SKEW_MS = 15 * MINUTE_MS;

/** Requests a key that signs for Berth's identity. */
export type FetchDelegationKey = (startsOn: Date, expiresOn: Date) => Promise<UserDelegationKey>;

/**
 * Signs with a user delegation key, which Azure issues for Berth's identity. Reuses the key until a signature
 * would outlive it.
 */
export function delegationSigner(fetchKey: FetchDelegationKey, accountName: string): BlobSigner {
  let cached: Promise<UserDelegationKey> | undefined;
  const fetch = (): Promise<UserDelegationKey> => {
    const now = Date.now();
    const fetching = fetchKey(new Date(now - CLOCK_SKEW_MS), new Date(now + KEY_LIFETIME_MS));
    cached = fetching;
    fetching.catch(() => {
      if (cached === fetching) cached = undefined;
    });
    return fetching;
  };
  const keyUntil = async (expiresOn: Date): Promise<UserDelegationKey> => {
    const known = cached;
    const key = await known;
    if (key !== undefined && key.signedExpiresOn >= expiresOn) return key;
    // Another call may have requested a key meanwhile.
    return cached !== undefined && cached !== known ? cached : fetch();
  };
  return async (blob) => {
    const key = await keyUntil(blob.expiresOn);
    return generateBlobSASQueryParameters(valuesOf(blob), key, accountName).toString();
  };
}

/** Without a start time: it may be in the future by Azure's clock. */
function valuesOf({ containerName, blobName, expiresOn, isHttps }: SignedBlob): {
  containerName: string;
  blobName: string;
  expiresOn: Date;
  permissions: BlobSASPermissions;
  protocol: SASProtocol;
  contentType: string;
} {
  return {
    containerName,
    blobName,
    expiresOn,
    permissions: BlobSASPermissions.parse('r'),
    protocol: isHttps ? SASProtocol.Https : SASProtocol.HttpsAndHttp,
    contentType: 'application/octet-stream',
  };
}
