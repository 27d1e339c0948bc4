import {
  BlobSASPermissions,
  generateBlobSASQueryParameters,
  SASProtocol,
  type StorageSharedKeyCredential,
  type UserDelegationKey,
} from '@azure/storage-blob';

/** Makes the query of a URL that lets whoever has it read one blob (a shared access signature). */
export type BlobSigner = (blob: SignedBlob) => Promise<string>;

export interface SignedBlob {
  readonly containerName: string;
  readonly blobName: string;
  readonly expiresOn: Date;
  /** The URL begins with https://, and nothing else will do. */
  readonly isHttps: boolean;
}

/** Signs with the account's key, without asking anybody. */
export function keySigner(credential: StorageSharedKeyCredential): BlobSigner {
  return (blob) => Promise.resolve(generateBlobSASQueryParameters(valuesOf(blob), credential).toString());
}

const MINUTE_MS = 60_000;
/** Azure gives keys for a week at the most. */
const KEY_LIFETIME_MS = 24 * 60 * MINUTE_MS;
/** Azure's clock may be behind. */
const CLOCK_SKEW_MS = 15 * MINUTE_MS;

/** Asks Azure for a key that acts for Berth's identity. */
export type FetchDelegationKey = (startsOn: Date, expiresOn: Date) => Promise<UserDelegationKey>;

/**
 * Signs with a key that Azure lends to Berth's identity (a user delegation key), one for many signatures: it is asked for
 * again when a signature would outlive it.
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
    // Somebody else may have asked for another one meanwhile.
    return cached !== undefined && cached !== known ? cached : fetch();
  };
  return async (blob) => {
    const key = await keyUntil(blob.expiresOn);
    return generateBlobSASQueryParameters(valuesOf(blob), key, accountName).toString();
  };
}

/** Without a start: by Azure's clock it may lie in the future. */
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
