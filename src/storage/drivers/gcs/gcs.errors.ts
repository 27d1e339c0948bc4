import { quoted } from '../../object-store/quoted.js';
import { TimeoutError } from '../../object-store/timeout.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';

/** For error messages. */
export interface GcsPlace {
  readonly bucket: string;
  readonly endpoint: string;
  readonly keyFile: string | undefined;
}

/** A failed request, without the request itself: the SDK's errors contain it, and with it the token. */
export class GcsRequestError extends Error {
  constructor(
    message: string,
    /** Undefined if no response came. */
    readonly status: number | undefined,
    /** Node's or the SDK's code of a network error. */
    readonly code: string | undefined,
    /** Google's reason (`conditionNotMet`). Undefined in a response of a proxy. */
    readonly reason?: string,
  ) {
    super(quoted(message));
    this.name = 'GcsRequestError';
  }
}

const UNRESOLVED = ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL'];

/** Codes of network errors. The last ones are node-fetch's. */
const NETWORK = new Set([
  ...UNRESOLVED,
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

/** Google's list of errors to retry: https://cloud.google.com/storage/docs/retry-strategy */
export function isTransient(error: GcsRequestError): boolean {
  const { status, code } = error;
  if (status === undefined) return code !== undefined && NETWORK.has(code);
  // 501 stays: the server does not implement the request.
  return status === 408 || status === 429 || (status >= 500 && status !== 501) || isChecksumMismatch(error);
}

/** Google received other bytes than were sent: https://cloud.google.com/storage/docs/data-validation */
function isChecksumMismatch({ status, message }: GcsRequestError): boolean {
  return status === 400 && /hash .*doesn't match calculated/.test(message);
}

/** Returns whether the object is missing. A missing bucket is another error. */
export function isMissingObject(error: unknown): boolean {
  const { status, message } = requestErrorOf(error);
  return status === 404 && !isMissingBucket(message);
}

/** Returns whether the object exists already, or is another generation. Other 412s have other reasons. */
export function isConditionNotMet(error: unknown): boolean {
  const { status, reason } = requestErrorOf(error);
  return status === 412 && reason === 'conditionNotMet';
}

/** Reads an error of the SDK, without the request in it. */
export function requestErrorOf(error: unknown): GcsRequestError {
  if (error instanceof GcsRequestError) return error;
  if (error instanceof StorageError && error.cause instanceof GcsRequestError) return error.cause;
  const { message, code, status, type, response, errors } = fieldsOf(error);
  const responded = [code, status, fieldsOf(response).status].map(Number).find(isStatus);
  const name = [code, type].find(
    (text): text is string => typeof text === 'string' && !isStatus(Number(text)),
  );
  const text = typeof message === 'string' ? message : String(error);
  return new GcsRequestError(text, responded, name, reasonOf(errors));
}

/** Reads the `errors` of a response. */
export function reasonOf(errors: unknown): string | undefined {
  const [first] = Array.isArray(errors) ? (errors as unknown[]) : [];
  const { reason } = fieldsOf(first);
  return typeof reason === 'string' ? reason : undefined;
}

/** @param action as in "could not …" */
export function toStorageError(error: unknown, action: string, place: GcsPlace): StorageError {
  if (error instanceof StorageError) return error;
  if (error instanceof TimeoutError) {
    const seconds = Math.round(error.ms) / 1000;
    const message = `could not ${action}: no response from ${place.endpoint} within ${seconds} s`;
    return new StorageUnavailableError(message, { cause: error });
  }
  const cause = requestErrorOf(error);
  const message = `could not ${action}: ${explained(cause, place)}`;
  return isTransient(cause)
    ? new StorageUnavailableError(message, { cause })
    : new StorageError(message, { cause });
}

function explained(error: GcsRequestError, place: GcsPlace): string {
  const { status, code = '', message } = error;
  if (status === undefined && isTransient(error)) return unreached(code, place);
  if (/could not load the default credentials/i.test(message)) {
    return (
      'there are no application default credentials: give this machine a service account, or set ' +
      'STORAGE_GCS_KEY_FILE'
    );
  }
  if (/reasonable timeframe/.test(message)) {
    return (
      "the credential was refused because this machine's clock is wrong: synchronize it (NTP), then " +
      'restart'
    );
  }
  if (message.includes('invalid_grant') || status === 401) {
    return (
      `${credential(place)} is refused; it may have been deleted or have expired: check ` +
      "STORAGE_GCS_KEY_FILE, and this machine's clock"
    );
  }
  if (status === 403) {
    return (
      `${credential(place)} has no permission for this in the bucket ${place.bucket}: grant it the ` +
      'role Storage Object User (roles/storage.objectUser), or check STORAGE_GCS_BUCKET'
    );
  }
  if (status === 404 && isMissingBucket(message)) {
    return `there is no bucket ${place.bucket} at ${place.endpoint}: create it, or check STORAGE_GCS_BUCKET`;
  }
  if (isChecksumMismatch(error)) return `${place.endpoint} received other bytes than were sent`;
  if (status === 429) return `${place.endpoint} throttles requests (429)`;
  return status === undefined
    ? `no response from ${place.endpoint} (${code || message}): check STORAGE_GCS_ENDPOINT`
    : `${place.endpoint} responded ${status}`;
}

function unreached(code: string, { endpoint }: GcsPlace): string {
  if (UNRESOLVED.includes(code)) {
    return (
      `the host of ${endpoint} can't be resolved: check STORAGE_GCS_ENDPOINT, and the DNS of this ` +
      'machine'
    );
  }
  return code === 'ECONNREFUSED'
    ? `nothing listens at ${endpoint}: check STORAGE_GCS_ENDPOINT`
    : `${endpoint} can't be reached (${code}): check STORAGE_GCS_ENDPOINT, and the network`;
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

/** The `message` of an error is not enumerable, and the `code` of some is inherited. */
function ownAndInherited(value: object): Record<string, unknown> {
  const names = ['message', 'code', 'status', 'type', 'response', 'errors', 'reason'];
  return Object.fromEntries(names.map((name) => [name, Reflect.get(value, name) as unknown]));
}
