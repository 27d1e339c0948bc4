import { quoted } from '../../object-store/quoted.js';
import {
  StorageError,
  StorageFullError,
  StorageUnavailableError,
  UploadStateError,
} from '../../storage.errors.js';

/** For error messages. */
export interface Attempt {
  /** As in "could not …". */
  readonly action: string;
  readonly bucket: string;
  /** URL of the store, or `AWS`. */
  readonly endpoint: string;
  /** The store has accepted Berth before, so missing credentials are temporary. */
  readonly hasSucceeded?: boolean;
}

/** The common fields of the SDK's errors and of Node's. */
interface Failure {
  /** S3's code (`NoSuchKey`), if its response has one. */
  readonly name: string;
  /** Node's code (`ECONNREFUSED`). */
  readonly code: string;
  readonly message: string;
  readonly status: number | undefined;
}

/** The multipart upload is completed or aborted, or its parts are others. */
const STATE = ['NoSuchUpload', 'InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'];
const FULL = ['QuotaExceeded', 'InsufficientCapacity', 'XMinioStorageFull', 'EntityTooLarge'];
const THROTTLED = [
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'BandwidthLimitExceeded',
];
/** The store received other bytes than were sent. */
const CHECKSUM_MISMATCH = ['BadDigest', 'XAmzContentSHA256Mismatch'];
const RETRYABLE = [
  ...CHECKSUM_MISMATCH,
  ...THROTTLED,
  'InternalError',
  'ServiceUnavailable',
  'OperationAborted',
  'RequestTimeout',
  'TimeoutError',
];
const UNRESOLVED = /^(ENOTFOUND|EAI_\w+)$/;
const NETWORK =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)(UNREACH|DOWN)|E[MN]FILE|\w+_PREMATURE_CLOSE)$/;
/** The SDK's names for an error without a code, as a response to HEAD has no body. */
const NO_CODE = /^(\d{3}|Unknown|UnknownError|)$/;
/** The SDK's error if no source has credentials. */
const NO_CREDENTIALS = 'CredentialsProviderError';
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|^EPROTO$|^ERR_(SSL|TLS)_/;

/** Translates an error of the SDK or of Node to one of Berth's, which says what is wrong and what to do. */
export function toStorageError(error: unknown, attempt: Attempt): StorageError {
  if (error instanceof StorageError) return error;
  const failure = failureOf(error);
  const cause = redacted(error, failure);
  const { name, status } = failure;
  const message = `could not ${attempt.action}: ${sentenceOf(failure, attempt)}`;
  if (STATE.includes(name)) return new UploadStateError(message, { cause });
  if (FULL.includes(name) || status === 507) return new StorageFullError(message, { cause });
  return isRetryable(failure, attempt)
    ? new StorageUnavailableError(message, { cause })
    : new StorageError(message, { cause });
}

function isRetryable(failure: Failure, { hasSucceeded = false }: Attempt): boolean {
  const { name, code, status = 0 } = failure;
  if (name === NO_CREDENTIALS) return hasSucceeded;
  if (isConfiguration(failure)) return false;
  // 501 stays: the store does not implement the request.
  const failed = status === 429 || (status >= 500 && status !== 501);
  return RETRYABLE.includes(name) || UNRESOLVED.test(code) || NETWORK.test(code) || failed;
}

/**
 * Returns whether the store received other bytes than were sent. The SDK takes this for the caller's mistake.
 */
export function isChecksumMismatch(error: unknown): boolean {
  return CHECKSUM_MISMATCH.includes(failureOf(error).name);
}

/** Returns whether the object is missing. A response to HEAD has no body, so it has no code. */
export function isMissing(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return (
    ['NoSuchKey', 'NotFound'].includes(name) || (status === 404 && /^(404|Unknown|UnknownError)$/.test(name))
  );
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(failureOf(error).name);
}

/** Returns whether the store responded 500. */
export function isInternal(error: unknown): boolean {
  return (
    error instanceof StorageUnavailableError &&
    (error.cause as { status?: unknown } | undefined)?.status === 500
  );
}

/** Returns whether a deletion that failed with this code can be retried. */
export function isRetryableCode(code: string): boolean {
  return RETRYABLE.includes(code);
}

function failureOf(error: unknown): Failure {
  const { name, code, message, $metadata } = (
    typeof error === 'object' && error !== null ? error : { message: String(error) }
  ) as { name?: unknown; code?: unknown; message?: unknown; $metadata?: { httpStatusCode?: number } };
  return {
    name: typeof name === 'string' ? name : '',
    code: typeof code === 'string' ? code : '',
    // The SDK's text for a response without a message.
    message: typeof message === 'string' && message !== 'UnknownError' ? quoted(message) : '',
    status: $metadata?.httpStatusCode,
  };
}

/** Drops what S3 repeats of the request (key id, signature), because a log would show it. */
function redacted(error: unknown, { name, message, status }: Failure): unknown {
  if (status === undefined) return error;
  const { $metadata } = error as { $metadata?: { requestId?: string; attempts?: number } };
  const { requestId, attempts } = $metadata ?? {};
  return Object.assign(new Error(message), { name, status, requestId, attempts });
}

const PERMISSIONS =
  's3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject, s3:PutObject, s3:DeleteObject, ' +
  's3:AbortMultipartUpload and s3:ListMultipartUploadParts';

type Sentence = (attempt: Attempt) => string;

const expired: Sentence = () =>
  'the credentials have expired: renew them where they come from (environment, shared files, ' +
  'container or instance role)';
const wrongRegion: Sentence = ({ bucket, endpoint }) =>
  `the bucket ${bucket} is in another region, or not at ${endpoint}: correct STORAGE_S3_REGION or ` +
  'STORAGE_S3_ENDPOINT';
const skewed: Sentence = () =>
  'the clocks of this machine and of the store differ by more than S3 allows: synchronize them (NTP)';
const denied: Sentence = ({ bucket }) =>
  `access to the bucket ${bucket} is denied: the key of STORAGE_S3_ACCESS_KEY_ID (or the role) needs ` +
  `${PERMISSIONS} ` +
  'on STORAGE_S3_BUCKET, and permission to use the KMS key, if there is one';
const kms: Sentence = () =>
  'the KMS key is missing or disabled, or Berth may not use it: check STORAGE_S3_SSE_KMS_KEY_ID and ' +
  'the key’s policy';
const noCredentials: Sentence = ({ hasSucceeded = false }) =>
  hasSucceeded
    ? 'the source of the credentials returned none (environment, shared files, container or instance role)'
    : 'there are no credentials: set STORAGE_S3_ACCESS_KEY_ID and STORAGE_S3_SECRET_ACCESS_KEY, or ' +
      'give the machine a role';

/** Errors of the settings, the bucket or the machine, by S3's code. A retry does not help. */
const SENTENCES: ReadonlyMap<string, Sentence> = new Map([
  [
    'NoSuchBucket',
    ({ bucket, endpoint }) =>
      `there is no bucket ${bucket} at ${endpoint}: create it, or correct STORAGE_S3_BUCKET or ` +
      'STORAGE_S3_ENDPOINT',
  ],
  ['InvalidBucketName', ({ bucket }) => `${bucket} is not a valid bucket name: correct STORAGE_S3_BUCKET`],
  ['AccessDenied', denied],
  ['Forbidden', denied],
  ['AllAccessDisabled', denied],
  ['AccountProblem', denied],
  [
    'InvalidAccessKeyId',
    ({ endpoint }) => `${endpoint} does not know the access key: correct STORAGE_S3_ACCESS_KEY_ID`,
  ],
  [
    'SignatureDoesNotMatch',
    () =>
      'the secret key does not match the access key: correct STORAGE_S3_SECRET_ACCESS_KEY ' +
      '(this also happens if a proxy before STORAGE_S3_ENDPOINT changes the Host header)',
  ],
  ['RequestTimeTooSkewed', skewed],
  ['RequestExpired', skewed],
  ['ExpiredToken', expired],
  ['ExpiredTokenException', expired],
  ['TokenRefreshRequired', expired],
  ['InvalidToken', expired],
  ['PermanentRedirect', wrongRegion],
  ['TemporaryRedirect', wrongRegion],
  ['AuthorizationHeaderMalformed', wrongRegion],
  ['IllegalLocationConstraintException', wrongRegion],
  [NO_CREDENTIALS, noCredentials],
  ['InvalidStorageClass', () => 'the store has no such storage class: correct STORAGE_S3_STORAGE_CLASS'],
  [
    'InvalidEncryptionAlgorithmError',
    () => 'the store does not support this encryption: correct STORAGE_S3_SERVER_SIDE_ENCRYPTION',
  ],
]);

function sentenceOf(failure: Failure, attempt: Attempt): string {
  const { name, code, message, status } = failure;
  const { endpoint } = attempt;
  const known = configurationSentence(failure);
  if (known) return known(attempt);
  if (code === 'ECONNREFUSED') {
    return `nothing listens at ${endpoint}: start the store, or correct STORAGE_S3_ENDPOINT`;
  }
  if (UNRESOLVED.test(code)) {
    return (
      `the name of ${endpoint} can't be resolved: correct STORAGE_S3_ENDPOINT or STORAGE_S3_REGION ` +
      '(or set STORAGE_S3_FORCE_PATH_STYLE=true, if the endpoint resolves but the bucket’s host does not)'
    );
  }
  if (UNTRUSTED.test(code)) {
    return (
      `the TLS certificate of ${endpoint} is not trusted (${code}): correct STORAGE_S3_ENDPOINT ` +
      '(http or https), or ' +
      'set NODE_EXTRA_CA_CERTS to the certificate of its authority'
    );
  }
  if (NETWORK.test(code)) return `the connection to ${endpoint} failed (${code})`;
  if (THROTTLED.includes(name) || status === 429) return `${endpoint} throttles requests (${name})`;
  if (CHECKSUM_MISMATCH.includes(name)) return `${endpoint} received other bytes than were sent (${name})`;
  const unnamed = NO_CODE.test(name) ? [String(status ?? code)] : [quoted(name)];
  return `${endpoint} responded ${[...unnamed, message].filter(Boolean).join(': ')}`;
}

function configurationSentence({ name, status }: Failure): Sentence | undefined {
  if (name.startsWith('KMS.')) return kms;
  const named = SENTENCES.get(name);
  if (named || !NO_CODE.test(name)) return named;
  // A response to HEAD has no body, so it has no code.
  if (status === 301 || status === 307) return wrongRegion;
  return status === 403 ? denied : undefined;
}

function isConfiguration(failure: Failure): boolean {
  return configurationSentence(failure) !== undefined || UNTRUSTED.test(failure.code);
}
