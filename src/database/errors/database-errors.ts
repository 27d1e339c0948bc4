import {
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
} from 'typeorm';
import { ContendedError } from './contended.error.js';
import { NoQueryInTimeError } from './no-query-in-time.error.js';
import { NoWritableServerError } from './no-writable-server.error.js';

/** SQLSTATE classes of temporary failures: connection, insufficient resources, operator intervention. */
const UNAVAILABLE_CLASSES = ['08', '53', '57'];

/** Codes of Node's socket errors. */
const UNAVAILABLE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Errors of `pg` and its pool that have no code. */
const UNAVAILABLE_MESSAGES = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Query read timeout',
  'Client has encountered a connection error',
  'Cannot use a pool after calling end on the pool',
  'Driver not Connected',
];

/** The server was demoted in a failover. */
const READ_ONLY = '25006';
/** `lock_timeout` expired. */
const LOCK_NOT_AVAILABLE = '55P03';
const DISK_FULL = '53100';
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';

/** The connection to Postgres was lost during the handshake. */
export class ConnectionLostError extends Error {
  constructor(cause: { readonly message?: unknown }) {
    super(String(cause.message), { cause });
  }
}

const UNAVAILABLE_ERRORS = [
  ConnectionLostError,
  ContendedError,
  NoQueryInTimeError,
  NoWritableServerError,
  // TypeORM releases a transaction's connection when it is lost. The next statement then fails with these.
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
];

/** The fields that errors of `pg`, Postgres and Node may have. */
interface FailureFields {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly syscall?: unknown;
  readonly message?: unknown;
}

/**
 * Names an error that a database call threw. A socket that is reset during the handshake fails with a plain
 * `ECONNRESET`, which could come from any socket of the process.
 */
export function asDatabaseError(error: unknown): unknown {
  if (error instanceof QueryFailedError) return error;
  const failure = Object(error) as FailureFields;
  const isSocketError = failure.syscall === 'read' || failure.syscall === 'write';
  return isSocketError ? new ConnectionLostError(failure) : error;
}

/** Whether Postgres refused a statement, or ended, because its disk is full. A retry does not help. */
export function isDatabaseFull(error: unknown): boolean {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  return (Object(cause) as FailureFields).code === DISK_FULL;
}

/** Whether a database call failed because Postgres is unreachable or overloaded, so that a retry may help. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (UNAVAILABLE_ERRORS.some((kind) => error instanceof kind)) return true;
  if (isDatabaseFull(error)) return false;
  // A host with several addresses, none of which could be connected.
  if (error instanceof AggregateError) return error.errors.some(isDatabaseUnavailable);
  const fromQuery = error instanceof QueryFailedError;
  const cause: unknown = fromQuery ? error.driverError : error;
  if (typeof cause !== 'object' || cause === null) return false;
  const { code, severity, syscall, message }: FailureFields = cause;
  // FATAL and PANIC end the connection. An ERROR concerns the statement.
  if (severity === 'FATAL' || severity === 'PANIC') return true;
  if (severity !== undefined)
    return (
      UNAVAILABLE_CLASSES.includes(String(code).slice(0, 2)) ||
      code === LOCK_NOT_AVAILABLE ||
      code === READ_ONLY
    );
  // No connection: the network, the name service, or too many open files.
  if (syscall === 'connect' || syscall === 'getaddrinfo') return true;
  if (fromQuery && UNAVAILABLE_CODES.has(String(code))) return true;
  return UNAVAILABLE_MESSAGES.some((text) => String(message).includes(text));
}

/** Whether a statement did not get a lock within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === LOCK_NOT_AVAILABLE;
}

/** Whether Postgres ended a statement with an error, and kept the connection. */
export function isStatementError(error: unknown): boolean {
  return error instanceof QueryFailedError && (error.driverError as FailureFields).severity === 'ERROR';
}

/** Whether Postgres rolled a transaction back to resolve a deadlock or the like. It can be run again. */
export function isDeadlock(error: unknown): boolean {
  return [SERIALIZATION_FAILURE, DEADLOCK_DETECTED].includes(String(sqlState(error)));
}

function sqlState(error: unknown): unknown {
  return error instanceof QueryFailedError ? (error.driverError as FailureFields).code : undefined;
}
