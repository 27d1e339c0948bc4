import { TimeLimitError } from '../../object-store/time-limit.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { type AzureAnswer, answerOf, firstLine, shorn } from './azure-answer.js';
import { accessSettings, type AzurePlace, endpointSettings } from './azure-place.js';

/** 500 is also `OperationTimedOut`, 503 also `ServerBusy`. */
const PASSING_STATUSES = [408, 429, 500, 502, 503, 504];
/** Errors of `@azure/identity`, which found nothing that it could prove Berth's identity with, or was refused a token. */
const NO_TOKEN = [
  'CredentialUnavailableError',
  'AuthenticationError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
];
/** Those that an identity which is there gives, too, while its source is away: the metadata service of a machine, say. */
const NO_IDENTITY = ['CredentialUnavailableError', 'AggregateAuthenticationError'];
const UNTRUSTED = /CERT|SSL|TLS|SELF_SIGNED|EPROTO|UNABLE_TO_/;

/**
 * What became of a request, for the driver's callers: {@link StorageUnavailableError} when it may go well later, a
 * sentence for a person otherwise. What is a `StorageError` already stays as it is.
 *
 * @param wasLetIn whether Azure has answered before: an identity that can't be had then is not missing
 */
export function failureOf(error: unknown, doing: string, place: AzurePlace, wasLetIn = false): StorageError {
  if (error instanceof StorageError) return error;
  const answer = answerOf(error);
  const message = `Azure could not ${doing}: ${sentence(error, answer, place, wasLetIn)}`;
  const cause = shorn(error);
  return mayPass(error, answer, wasLetIn)
    ? new StorageUnavailableError(message, { cause })
    : new StorageError(message, { cause });
}

/** Whether another attempt may go well. */
function mayPass(error: unknown, answer: AzureAnswer, wasLetIn: boolean): boolean {
  const { status, code } = answer;
  if (status !== undefined) return PASSING_STATUSES.includes(status) || isChanged(answer);
  if (error instanceof TimeLimitError) return true;
  if (NO_TOKEN.includes(nameOf(error))) return wasLetIn && NO_IDENTITY.includes(nameOf(error));
  // An abort that isn't the caller's: the SDK shares the request for a token between calls.
  return nameOf(error) === 'AbortError' || (code !== undefined && !UNTRUSTED.test(code));
}

/** Other bytes arrived than were sent. Azurite calls it InvalidOperation. */
function isChanged({ status, code, text }: AzureAnswer): boolean {
  return code === 'Md5Mismatch' || (status === 400 && /contentMD5 doesn't match/i.test(text));
}

function sentence(error: unknown, answer: AzureAnswer, place: AzurePlace, wasLetIn: boolean): string {
  if (error instanceof TimeLimitError) return `${error.message} from ${place.endpoint}`;
  const text = NO_TOKEN.includes(nameOf(error)) ? noToken(place, wasLetIn) : explanation(answer, place);
  const said = firstLine(
    [answer.status, answer.code].filter((each) => each !== undefined).join(' ') || answer.text,
  );
  const request = answer.requestId === undefined ? '' : `, request ${answer.requestId}`;
  return text === undefined ? `${said}${request}` : `${text} (${said}${request})`;
}

function noToken(place: AzurePlace, wasLetIn: boolean): string {
  if (wasLetIn)
    return `no token for ${place.endpoint}: the default credential, which gave one before, failed`;
  return `no token for ${place.endpoint}: the default credential found no identity, or it was refused. Set STORAGE_AZURE_ACCOUNT_KEY, or give Berth a workload or managed identity, or valid AZURE_CLIENT_… variables`;
}

function explanation(answer: AzureAnswer, place: AzurePlace): string | undefined {
  if (answer.status === undefined) return explainedConnection(answer.code, place);
  if (isChanged(answer)) return `the bytes changed on the way to ${place.endpoint}`;
  // Azurite calls it AuthorizationFailure.
  if (answer.code === 'AuthenticationFailed' || /failed to authenticate/i.test(answer.text))
    return explainedAuthentication(answer, place);
  return answer.code === undefined ? undefined : EXPLAINED[answer.code]?.(place);
}

function explainedConnection(code: string | undefined, place: AzurePlace): string | undefined {
  const settings = endpointSettings(place);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `${place.endpoint} has no address; is there such an account? Check ${settings}, and the name service`;
  }
  if (code === 'ECONNREFUSED') return `nothing answers at ${place.endpoint}. Check ${settings}`;
  if (code !== undefined && UNTRUSTED.test(code)) {
    return `${place.endpoint} could not be trusted, or speaks no TLS. Check ${settings}, or give NODE_EXTRA_CA_CERTS`;
  }
  return undefined;
}

function explainedAuthentication({ text }: AzureAnswer, place: AzurePlace): string {
  if (/date header/i.test(text)) {
    return "the clock of this machine is more than 15 minutes off Azure's. Set it, and keep it right with NTP";
  }
  if (place.access === 'shared access signature') {
    return 'the shared access signature in STORAGE_AZURE_CONNECTION_STRING has expired, is not valid yet, or is wrong';
  }
  const proof = place.access === 'default credential' ? 'the token' : 'the key';
  return `${proof} was refused: wrong, of another account, or renewed. Check ${accessSettings(place)}`;
}

function denied(place: AzurePlace): string {
  const grant =
    place.access === 'shared access signature'
      ? 'The signature in STORAGE_AZURE_CONNECTION_STRING needs the permissions r, w, d, c and l on containers and objects of the blob service'
      : 'Give the identity that Berth runs as the role Storage Blob Data Contributor';
  return `access to the container ${place.container} is denied. ${grant}`;
}

/** By Azure's code: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
const EXPLAINED: Readonly<Record<string, (place: AzurePlace) => string>> = {
  ContainerNotFound: ({ container, endpoint }) =>
    `${endpoint} has no container ${container}. Make it, or check STORAGE_AZURE_CONTAINER`,
  ContainerBeingDeleted: ({ container }) =>
    `the container ${container} is being deleted. Make it again, or check STORAGE_AZURE_CONTAINER`,
  ContainerDisabled: ({ container }) =>
    `the container ${container} is disabled. Check STORAGE_AZURE_CONTAINER`,
  InvalidResourceName: ({ container }) =>
    `no container can be called ${container}. Check STORAGE_AZURE_CONTAINER, STORAGE_AZURE_PREFIX and STORAGE_AZURE_ENDPOINT`,
  AccountIsDisabled: (place) => `the account is disabled. Check ${accessSettings(place)}, and the account`,
  AuthorizationFailure: (place) =>
    `access is denied, by the firewall of the account or for want of a permission. Let this machine's network in, and check ${accessSettings(place)}`,
  AuthorizationPermissionMismatch: denied,
  AuthorizationResourceTypeMismatch: denied,
  AuthorizationServiceMismatch: denied,
  InsufficientAccountPermissions: denied,
  AuthorizationProtocolMismatch: () =>
    'the shared access signature allows https only. Check STORAGE_AZURE_CONNECTION_STRING',
  AuthorizationSourceIPMismatch: () =>
    "the shared access signature allows other addresses than this machine's. Check STORAGE_AZURE_CONNECTION_STRING",
  InvalidAuthenticationInfo: (place) =>
    `what Berth proves itself with was refused. Check ${accessSettings(place)}`,
  NoAuthenticationInformation: (place) =>
    `the container is not open to everybody. Check ${accessSettings(place)}`,
  KeyBasedAuthenticationNotPermitted: (place) =>
    `the account allows no keys. Give Berth an identity in place of ${place.access === 'account key' ? 'STORAGE_AZURE_ACCOUNT_KEY' : 'STORAGE_AZURE_CONNECTION_STRING'}`,
  BlobImmutableDueToPolicy: ({ container }) =>
    `an immutability policy or a legal hold keeps it. Berth has to delete blobs: lift it from ${container}`,
};

function nameOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'name' in error ? String(error.name) : '';
}
