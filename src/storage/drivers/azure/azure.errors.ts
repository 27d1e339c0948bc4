import { TimeoutError } from '../../object-store/timeout.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { type AzureResponse, firstLine, redacted, responseOf } from './azure-response.js';
import { accessSettings, type AzurePlace, endpointSettings } from './azure-place.js';

/** 500 includes `OperationTimedOut`, 503 `ServerBusy`. */
const RETRYABLE_STATUSES = [408, 429, 500, 502, 503, 504];
/** Errors of `@azure/identity`: it found no credential, or was refused a token. */
const NO_TOKEN = [
  'CredentialUnavailableError',
  'AuthenticationError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
];
/** Of these, the ones that also occur while the source of an identity (a metadata service) is unavailable. */
const NO_IDENTITY = ['CredentialUnavailableError', 'AggregateAuthenticationError'];
const UNTRUSTED = /CERT|SSL|TLS|SELF_SIGNED|EPROTO|UNABLE_TO_/;

/**
 * Translates an error of the SDK: to {@link StorageUnavailableError} if a retry may succeed, else to a
 * {@link StorageError} that says what to do.
 *
 * @param action as in "could not …"
 * @param hasSucceeded Azure has accepted Berth before, so a missing identity is temporary.
 */
export function toStorageError(
  error: unknown,
  action: string,
  place: AzurePlace,
  hasSucceeded = false,
): StorageError {
  if (error instanceof StorageError) return error;
  const response = responseOf(error);
  const message = `could not ${action}: ${sentence(error, response, place, hasSucceeded)}`;
  const cause = redacted(error);
  return isRetryable(error, response, hasSucceeded)
    ? new StorageUnavailableError(message, { cause })
    : new StorageError(message, { cause });
}

function isRetryable(error: unknown, response: AzureResponse, hasSucceeded: boolean): boolean {
  const { status, code } = response;
  if (status !== undefined) return RETRYABLE_STATUSES.includes(status) || isChecksumMismatch(response);
  if (error instanceof TimeoutError) return true;
  if (NO_TOKEN.includes(nameOf(error))) return hasSucceeded && NO_IDENTITY.includes(nameOf(error));
  // Another call's abort: calls share the SDK's request for a token.
  return nameOf(error) === 'AbortError' || (code !== undefined && !UNTRUSTED.test(code));
}

/** Azure received other bytes than Berth sent. Azurite's code for this is InvalidOperation. */
function isChecksumMismatch({ status, code, text }: AzureResponse): boolean {
  return code === 'Md5Mismatch' || (status === 400 && /contentMD5 doesn't match/i.test(text));
}

function sentence(error: unknown, response: AzureResponse, place: AzurePlace, hasSucceeded: boolean): string {
  if (error instanceof TimeoutError) return `${error.message} from ${place.endpoint}`;
  const text = NO_TOKEN.includes(nameOf(error)) ? noToken(place, hasSucceeded) : explanation(response, place);
  const said = firstLine(
    [response.status, response.code].filter((each) => each !== undefined).join(' ') || response.text,
  );
  const request = response.requestId === undefined ? '' : `, request ${response.requestId}`;
  return text === undefined ? `${said}${request}` : `${text} (${said}${request})`;
}

function noToken(place: AzurePlace, hasSucceeded: boolean): string {
  if (hasSucceeded) return `no token for ${place.endpoint}: the default credential failed, but worked before`;
  return (
    `no token for ${place.endpoint}: the default credential found no identity, or it was refused. Set ` +
    'STORAGE_AZURE_ACCOUNT_KEY, or give Berth a workload or managed identity, or valid AZURE_CLIENT_… ' +
    'variables'
  );
}

function explanation(response: AzureResponse, place: AzurePlace): string | undefined {
  if (response.status === undefined) return explainedConnection(response.code, place);
  if (isChecksumMismatch(response)) return `${place.endpoint} received other bytes than were sent`;
  // Azurite's code for this is AuthorizationFailure.
  if (response.code === 'AuthenticationFailed' || /failed to authenticate/i.test(response.text))
    return explainedAuthentication(response, place);
  return response.code === undefined ? undefined : EXPLAINED[response.code]?.(place);
}

function explainedConnection(code: string | undefined, place: AzurePlace): string | undefined {
  const settings = endpointSettings(place);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `the host of ${place.endpoint} can't be resolved. Check ${settings}, and the DNS of this machine`;
  }
  if (code === 'ECONNREFUSED') return `nothing listens at ${place.endpoint}. Check ${settings}`;
  if (code !== undefined && UNTRUSTED.test(code)) {
    return (
      `the TLS certificate of ${place.endpoint} is not trusted, or it has no TLS. Check ${settings}, ` +
      'or set NODE_EXTRA_CA_CERTS'
    );
  }
  return undefined;
}

function explainedAuthentication({ text }: AzureResponse, place: AzurePlace): string {
  if (/date header/i.test(text)) {
    return (
      'the clocks of this machine and of Azure differ by more than 15 minutes. Set the clock, and ' +
      'synchronize it with NTP'
    );
  }
  if (place.access === 'shared access signature') {
    return (
      'the shared access signature in STORAGE_AZURE_CONNECTION_STRING has expired, is not valid yet, ' +
      'or is wrong'
    );
  }
  const proof = place.access === 'default credential' ? 'the token' : 'the key';
  return (
    `${proof} was refused: it is wrong, belongs to another account, or was rotated. Check ` +
    accessSettings(place)
  );
}

function denied(place: AzurePlace): string {
  const grant =
    place.access === 'shared access signature'
      ? 'The signature in STORAGE_AZURE_CONNECTION_STRING needs the permissions r, w, d, c and l on ' +
        'containers and objects of the blob service'
      : 'Give the identity that Berth runs as the role Storage Blob Data Contributor';
  return `access to the container ${place.container} is denied. ${grant}`;
}

/** By Azure's code: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
const EXPLAINED: Readonly<Record<string, (place: AzurePlace) => string>> = {
  ContainerNotFound: ({ container, endpoint }) =>
    `${endpoint} has no container ${container}. Create it, or check STORAGE_AZURE_CONTAINER`,
  ContainerBeingDeleted: ({ container }) =>
    `the container ${container} is being deleted. Create it again, or check STORAGE_AZURE_CONTAINER`,
  ContainerDisabled: ({ container }) =>
    `the container ${container} is disabled. Check STORAGE_AZURE_CONTAINER`,
  InvalidResourceName: ({ container }) =>
    `${container} is not a valid container name. Check STORAGE_AZURE_CONTAINER, STORAGE_AZURE_PREFIX ` +
    'and STORAGE_AZURE_ENDPOINT',
  AccountIsDisabled: (place) => `the account is disabled. Check ${accessSettings(place)}, and the account`,
  AuthorizationFailure: (place) =>
    "access is denied by the account's firewall, or a permission is missing. Allow this machine's " +
    `network, and check ${accessSettings(place)}`,
  AuthorizationPermissionMismatch: denied,
  AuthorizationResourceTypeMismatch: denied,
  AuthorizationServiceMismatch: denied,
  InsufficientAccountPermissions: denied,
  AuthorizationProtocolMismatch: () =>
    'the shared access signature allows only https. Check STORAGE_AZURE_CONNECTION_STRING',
  AuthorizationSourceIPMismatch: () =>
    "the shared access signature does not allow this machine's address. Check " +
    'STORAGE_AZURE_CONNECTION_STRING',
  InvalidAuthenticationInfo: (place) => `Berth's credential was refused. Check ${accessSettings(place)}`,
  NoAuthenticationInformation: (place) => `the container needs a credential. Check ${accessSettings(place)}`,
  KeyBasedAuthenticationNotPermitted: (place) =>
    'the account allows no keys. Use an identity instead of ' +
    (place.access === 'account key' ? 'STORAGE_AZURE_ACCOUNT_KEY' : 'STORAGE_AZURE_CONNECTION_STRING'),
  BlobImmutableDueToPolicy: ({ container }) =>
    'an immutability policy or a legal hold protects the blob. Berth must delete blobs: remove it ' +
    `from ${container}`,
};

function nameOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'name' in error ? String(error.name) : '';
}
