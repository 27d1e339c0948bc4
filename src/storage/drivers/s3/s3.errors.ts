import { quoted } from '../../object-store/quoted.js';
import {
  StorageError,
  StorageFullError,
  StorageUnavailableError,
  UploadStateError,
} from '../../storage.errors.js';

/** What was about to be done, and where: for sentences. */
export interface Attempt {
  /** As in "could not …". */
  readonly action: string;
  readonly bucket: string;
  /** The host that was spoken to, or `AWS`. */
  readonly endpoint: string;
  /** Whether the store has let Berth in before: credentials that can't be had then are not missing. */
  readonly wasLetIn?: boolean;
}

/** The common fields of the SDK's errors and of Node's. */
interface Failure {
  /** S3's code, as in `NoSuchKey`, where S3 has answered with one. */
  readonly name: string;
  /** Node's code, as in `ECONNREFUSED`. */
  readonly code: string;
  readonly message: string;
  readonly status: number | undefined;
}

const OVER = ['NoSuchUpload', 'InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'];
const FULL = ['QuotaExceeded', 'InsufficientCapacity', 'XMinioStorageFull', 'EntityTooLarge'];
const THROTTLED = [
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'BandwidthLimitExceeded',
];
/** Other bytes arrived than were sent. */
const CHANGED = ['BadDigest', 'XAmzContentSHA256Mismatch'];
const PASSING = [
  ...CHANGED,
  ...THROTTLED,
  'InternalError',
  'ServiceUnavailable',
  'OperationAborted',
  'RequestTimeout',
  'TimeoutError',
];
const NETWORK =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)(UNREACH|DOWN)|ENOTFOUND|EAI_\w+|E[MN]FILE|ERR_STREAM_PREMATURE_CLOSE)$/;
/** What the SDK calls an error to which S3 gave no code: HEAD has no body. */
const NO_CODE = /^(\d{3}|Unknown|UnknownError|)$/;
/** The SDK's, where no source has any. */
const NO_CREDENTIALS = 'CredentialsProviderError';
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|^EPROTO$|^ERR_(SSL|TLS)_/;

/** The SDK's error, or Node's, as one of Berth's that says what is wrong and what to do. */
export function toStorageError(error: unknown, attempt: Attempt): StorageError {
  if (error instanceof StorageError) return error;
  const failure = failureOf(error);
  const cause = shorn(error, failure);
  const { name, status } = failure;
  const what = `could not ${attempt.action}: ${sentenceOf(failure, attempt)}`;
  if (OVER.includes(name)) return new UploadStateError(what, { cause });
  if (FULL.includes(name) || status === 507) return new StorageFullError(what, { cause });
  return mayPass(failure, attempt)
    ? new StorageUnavailableError(what, { cause })
    : new StorageError(what, { cause });
}

function mayPass(failure: Failure, { wasLetIn = false }: Attempt): boolean {
  const { name, code, status = 0 } = failure;
  if (name === NO_CREDENTIALS) return wasLetIn;
  if (isConfiguration(failure)) return false;
  // 501: the store can't do what it is asked to, and won't learn it.
  const failed = status === 429 || (status >= 500 && status !== 501);
  return PASSING.includes(name) || NETWORK.test(code) || failed;
}

/** Whether the store says that the bytes have changed on the way, of which the SDK takes it for our mistake. */
export function isChanged(error: unknown): boolean {
  return CHANGED.includes(failureOf(error).name);
}

/** Whether S3 says that there is no such object. An answer to HEAD has no body, and so no code. */
export function isMissing(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return (
    ['NoSuchKey', 'NotFound'].includes(name) || (status === 404 && /^(404|Unknown|UnknownError)$/.test(name))
  );
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(failureOf(error).name);
}

/** Whether the store itself said that something went wrong within it, whatever that was. */
export function isInternal(error: unknown): boolean {
  return (
    error instanceof StorageUnavailableError &&
    (error.cause as { status?: unknown } | undefined)?.status === 500
  );
}

/** Whether a code that S3 gives for one of several objects stands for what may pass. */
export function isPassingCode(code: string): boolean {
  return PASSING.includes(code);
}

function failureOf(error: unknown): Failure {
  const { name, code, message, $metadata } = (
    typeof error === 'object' && error !== null ? error : { message: String(error) }
  ) as { name?: unknown; code?: unknown; message?: unknown; $metadata?: { httpStatusCode?: number } };
  return {
    name: typeof name === 'string' ? name : '',
    code: typeof code === 'string' ? code : '',
    // The SDK's for an answer that has none.
    message: typeof message === 'string' && message !== 'UnknownError' ? quoted(message) : '',
    status: $metadata?.httpStatusCode,
  };
}

/** Without what S3 repeats of the request in its answer (key id, signature), which a log would show. */
function shorn(error: unknown, { name, message, status }: Failure): unknown {
  if (status === undefined) return error;
  const { $metadata } = error as { $metadata?: { requestId?: string; attempts?: number } };
  const { requestId, attempts } = $metadata ?? {};
  return Object.assign(new Error(message), { name, status, requestId, attempts });
}

const PERMISSIONS =
  's3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts';

type Sentence = (attempt: Attempt) => string;

const expired: Sentence = () =>
  'the credentials have expired: renew them where they come from (environment, shared files, container or instance role)';
const elsewhere: Sentence = ({ bucket, endpoint }) =>
  `the bucket ${bucket} is in another region, or not at ${endpoint}: correct STORAGE_S3_REGION or STORAGE_S3_ENDPOINT`;
const skewed: Sentence = () =>
  "this machine's clock and the store's differ by more than S3 allows: set the clock (NTP), here or there";
const denied: Sentence = ({ bucket }) =>
  `access to the bucket ${bucket} is denied: the key of STORAGE_S3_ACCESS_KEY_ID (or the role) needs ${PERMISSIONS} ` +
  'on STORAGE_S3_BUCKET, and with a KMS key the use of it';
const kms: Sentence = () =>
  'the KMS key is missing, disabled or not ours to use: look at STORAGE_S3_SSE_KMS_KEY_ID and the key’s policy';
const noCredentials: Sentence = ({ wasLetIn = false }) =>
  wasLetIn
    ? 'the source of the credentials gives none (environment, shared files, container or instance role)'
    : 'there are no credentials: set STORAGE_S3_ACCESS_KEY_ID and STORAGE_S3_SECRET_ACCESS_KEY, or give the machine a role';

/** What is wrong with the settings, the bucket or the machine, by S3's code. A retry changes nothing of it. */
const SENTENCES: ReadonlyMap<string, Sentence> = new Map([
  [
    'NoSuchBucket',
    ({ bucket, endpoint }) =>
      `there is no bucket ${bucket} at ${endpoint}: create it, or correct STORAGE_S3_BUCKET or STORAGE_S3_ENDPOINT`,
  ],
  ['InvalidBucketName', ({ bucket }) => `${bucket} is no name of a bucket: correct STORAGE_S3_BUCKET`],
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
      'the secret does not belong to the access key: correct STORAGE_S3_SECRET_ACCESS_KEY ' +
      '(a proxy that changes the Host header on the way to STORAGE_S3_ENDPOINT does this, too)',
  ],
  ['RequestTimeTooSkewed', skewed],
  ['RequestExpired', skewed],
  ['ExpiredToken', expired],
  ['ExpiredTokenException', expired],
  ['TokenRefreshRequired', expired],
  ['InvalidToken', expired],
  ['PermanentRedirect', elsewhere],
  ['TemporaryRedirect', elsewhere],
  ['AuthorizationHeaderMalformed', elsewhere],
  ['IllegalLocationConstraintException', elsewhere],
  [NO_CREDENTIALS, noCredentials],
  ['InvalidStorageClass', () => 'the store has no such storage class: correct STORAGE_S3_STORAGE_CLASS'],
  [
    'InvalidEncryptionAlgorithmError',
    () => 'the store does not encrypt like this: correct STORAGE_S3_SERVER_SIDE_ENCRYPTION',
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
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) {
    return (
      `the name of ${endpoint} can't be resolved: correct STORAGE_S3_ENDPOINT or STORAGE_S3_REGION ` +
      '(where only the endpoint has a name and the bucket’s does not, STORAGE_S3_FORCE_PATH_STYLE=true)'
    );
  }
  if (UNTRUSTED.test(code)) {
    return (
      `no trusted TLS with ${endpoint} (${code}): correct STORAGE_S3_ENDPOINT (http or https), or give Node the ` +
      'certificate of its authority in NODE_EXTRA_CA_CERTS'
    );
  }
  if (NETWORK.test(code)) return `the connection to ${endpoint} failed (${code})`;
  if (THROTTLED.includes(name) || status === 429) return `${endpoint} asks for fewer requests (${name})`;
  if (CHANGED.includes(name)) return `the bytes changed on the way to ${endpoint} (${name})`;
  const unnamed = NO_CODE.test(name) ? [String(status ?? code)] : [quoted(name)];
  return `${endpoint} answered ${[...unnamed, message].filter(Boolean).join(': ')}`;
}

function configurationSentence({ name, status }: Failure): Sentence | undefined {
  if (name.startsWith('KMS.')) return kms;
  const named = SENTENCES.get(name);
  if (named || !NO_CODE.test(name)) return named;
  // Without a body, as HEAD is answered, there is no code.
  if (status === 301 || status === 307) return elsewhere;
  return status === 403 ? denied : undefined;
}

function isConfiguration(failure: Failure): boolean {
  return configurationSentence(failure) !== undefined || UNTRUSTED.test(failure.code);
}
