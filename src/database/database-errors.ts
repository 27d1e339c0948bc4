import {
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
} from 'typeorm';
import { NoQueryInTimeError } from './next-batch.errors.js';

/** SQLSTATE classes that mean "not now": connection exceptions, insufficient resources, operator intervention. */
const UNAVAILABLE_CLASSES = ['08', '53', '57'];

const UNAVAILABLE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** What `pg` and its pool say without any code. */
const UNAVAILABLE_MESSAGES = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Query read timeout',
  'Client has encountered a connection error',
  'Cannot use a pool after calling end on the pool',
  'Driver not Connected',
];

/** A connection to Postgres was lost while it was being made. */
export class ConnectionLostError extends Error {
  constructor(cause: { readonly message?: unknown }) {
    super(String(cause.message), { cause });
  }
}

const UNAVAILABLE_ERRORS = [
  ConnectionLostError,
  NoQueryInTimeError,
  // TypeORM gives a transaction's connection back by itself when that is lost; the next statement finds it gone.
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
];

/** What `pg`, Postgres and Node say of a failure, as far as they say anything. */
interface FailureFields {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly syscall?: unknown;
  readonly message?: unknown;
}

/** `disk_full` */
const DISK_FULL = '53100';

/** Whether Postgres refused a statement, or ended, because its disk is full. Retrying soon doesn't help. */
export function isDatabaseFull(error: unknown): boolean {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  return (Object(cause) as FailureFields).code === DISK_FULL;
}

/** Whether a query failed because Postgres can't be reached or can't work now, so that trying again later may help. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (UNAVAILABLE_ERRORS.some((kind) => error instanceof kind)) return true;
  if (isDatabaseFull(error)) return false;
  const fromQuery = error instanceof QueryFailedError;
  const cause: unknown = fromQuery ? error.driverError : error;
  if (typeof cause !== 'object' || cause === null) return false;
  const { code, severity, syscall, message }: FailureFields = cause;
  // FATAL and PANIC end the connection; an ERROR is about the statement.
  if (severity === 'FATAL' || severity === 'PANIC') return true;
  if (severity !== undefined) return UNAVAILABLE_CLASSES.includes(String(code).slice(0, 2));
  // A connection, or the address for it, can't be had: the network, the name service, or too many open files.
  if (
    syscall === 'connect' ||
    syscall === 'getaddrinfo' ||
    (fromQuery && UNAVAILABLE_CODES.has(String(code)))
  )
    return true;
  return UNAVAILABLE_MESSAGES.some((text) => String(message).includes(text));
}

/** `unique_violation`, `foreign_key_violation`, `serialization_failure` and `deadlock_detected`. */
const CONFLICT_CODES = ['23505', '23503', '40001', '40P01'];

/** Whether Postgres refused a statement for what others did at the same time, so that nothing of it happened. */
export function isConflict(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code } = error.driverError as FailureFields;
  return CONFLICT_CODES.includes(String(code));
}
