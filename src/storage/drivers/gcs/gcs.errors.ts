import { quoted } from '../../object-store/quoted.js';
import { TimeLimitError } from '../../object-store/time-limit.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';

/** What the sentences of errors name, so that a person knows where to look. */
export interface GcsPlace {
  readonly bucket: string;
  readonly endpoint: string;
  readonly keyFile: string | undefined;
}

/** What a request came to, and no more: the SDK's errors carry the request, and with it the token. */
export class GcsRequestError extends Error {
  constructor(
    message: string,
    /** Of the answer; nothing where there was none. */
    readonly status: number | undefined,
    /** Node's or the SDK's name for what went wrong on the way. */
    readonly code: string | undefined,
    /** Google's, as in `conditionNotMet`; nothing where a proxy answered. */
    readonly reason?: string,
  ) {
    super(quoted(message));
    this.name = 'GcsRequestError';
  }
}

const NOT_RESOLVED = ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL'];

/** On the way to the store or from it: nobody refused anything. The last ones are node-fetch's own. */
const ON_THE_WAY = new Set([
  ...NOT_RESOLVED,
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EMFILE',
  'ENFILE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'request-timeout',
  'body-timeout',
]);

/** Google's list of what to try again: https://cloud.google.com/storage/docs/retry-strategy */
export function isTransient(error: GcsRequestError): boolean {
  const { status, code } = error;
  if (status === undefined) return code !== undefined && ON_THE_WAY.has(code);
  // 501: whoever answered can't do what it is asked to, and won't learn it.
  return status === 408 || status === 429 || (status >= 500 && status !== 501) || isChanged(error);
}

/** Other bytes arrived than were sent: https://cloud.google.com/storage/docs/data-validation */
function isChanged({ status, message }: GcsRequestError): boolean {
  return status === 400 && /hash .*doesn't match calculated/.test(message);
}

/** 404 of an object: that of a bucket is the operator's. */
export function isMissingObject(error: unknown): boolean {
  const { status, message } = requestErrorOf(error);
  return status === 404 && !isMissingBucket(message);
}

/** The object was there already, or is another one than the request was meant for. Not every 412 says that. */
export function isConditionNotMet(error: unknown): boolean {
  const { status, reason } = requestErrorOf(error);
  return status === 412 && reason === 'conditionNotMet';
}

/** Nothing of an SDK's error but what it says. */
export function requestErrorOf(error: unknown): GcsRequestError {
  if (error instanceof GcsRequestError) return error;
  // A StorageError of ours: what it was made of.
  if (error instanceof StorageError && error.cause instanceof GcsRequestError) return error.cause;
  const { message, code, status, type, response, errors } = fieldsOf(error);
  const answered = [code, status, fieldsOf(response).status].map(Number).find(isStatus);
  const name = [code, type].find(
    (text): text is string => typeof text === 'string' && !isStatus(Number(text)),
  );
  const text = typeof message === 'string' ? message : String(error);
  return new GcsRequestError(text, answered, name, reasonOf(errors));
}

/** Of the `errors` in an answer. */
export function reasonOf(errors: unknown): string | undefined {
  const [first] = Array.isArray(errors) ? (errors as unknown[]) : [];
  const { reason } = fieldsOf(first);
  return typeof reason === 'string' ? reason : undefined;
}

/** @param doing what the request was for, as in `listing objects` */
export function storageErrorOf(error: unknown, doing: string, place: GcsPlace): StorageError {
  if (error instanceof StorageError) return error;
  if (error instanceof TimeLimitError) {
    const seconds = Math.round(error.ms) / 1000;
    const sentence = `${doing} failed: ${place.endpoint} did not answer within ${seconds} s`;
    return new StorageUnavailableError(sentence, { cause: error });
  }
  const cause = requestErrorOf(error);
  const sentence = `${doing} failed: ${explained(cause, place)}`;
  return isTransient(cause)
    ? new StorageUnavailableError(sentence, { cause })
    : new StorageError(sentence, { cause });
}

function explained(error: GcsRequestError, place: GcsPlace): string {
  const { status, code = '', message } = error;
  if (status === undefined && isTransient(error)) return unreached(code, place);
  if (/could not load the default credentials/i.test(message)) {
    return 'there are no application default credentials here: give the machine a service account, or set STORAGE_GCS_KEY_FILE';
  }
  if (/reasonable timeframe/.test(message)) {
    return "the credential is refused because this machine's clock is wrong: set it (NTP), then start again";
  }
  if (message.includes('invalid_grant') || status === 401) {
    return `${credential(place)} is refused, maybe because it was deleted or has expired: look at STORAGE_GCS_KEY_FILE, and at the machine's clock`;
  }
  if (status === 403) {
    return `${credential(place)} has not the right to do this in the bucket ${place.bucket}: grant it the role Storage Object User (roles/storage.objectUser), or look at STORAGE_GCS_BUCKET`;
  }
  if (status === 404 && isMissingBucket(message)) {
    return `there is no bucket ${place.bucket} at ${place.endpoint}: create it, or look at STORAGE_GCS_BUCKET`;
  }
  if (isChanged(error)) return `the bytes changed on the way to ${place.endpoint}`;
  if (status === 429) return 'Google Cloud Storage asks for patience (429)';
  return status === undefined
    ? `no answer from ${place.endpoint} (${code || message}): look at STORAGE_GCS_ENDPOINT`
    : `${place.endpoint} answered ${status}`;
}

function unreached(code: string, { endpoint }: GcsPlace): string {
  if (NOT_RESOLVED.includes(code)) {
    return `the host of ${endpoint} can't be resolved: look at STORAGE_GCS_ENDPOINT, or at this machine's name servers`;
  }
  return code === 'ECONNREFUSED'
    ? `nothing listens at ${endpoint}: look at STORAGE_GCS_ENDPOINT`
    : `${endpoint} can't be reached (${code}): look at STORAGE_GCS_ENDPOINT, or at the network`;
}

function credential({ keyFile }: GcsPlace): string {
  return keyFile === undefined ? 'the default credential' : `the service account of ${keyFile}`;
}

function isMissingBucket(message: string): boolean {
  return /bucket does not exist/i.test(message);
}

function isStatus(value: number): boolean {
  return value >= 100 && value < 600;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...ownAndInherited(value) } : {};
}

/** `message` of an error is no enumerable property, and `code` of some is inherited. */
function ownAndInherited(value: object): Record<string, unknown> {
  const names = ['message', 'code', 'status', 'type', 'response', 'errors', 'reason'];
  return Object.fromEntries(names.map((name) => [name, Reflect.get(value, name) as unknown]));
}
