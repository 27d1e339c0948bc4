import {
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
} from 'typeorm';
import { ContendedError } from './contended.error.js';
import { NoQueryInTimeError } from './no-query-in-time.error.js';

/**
 * SQLSTATE classes that mean "not now": connection exceptions, insufficient resources, operator intervention.
 */
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

/** `lock_timeout` passed. */
const LOCK_NOT_AVAILABLE = '55P03';

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
  ContendedError,
  NoQueryInTimeError,
  // TypeORM gives a transaction's connection back by itself when that is lost; the next statement finds it
  // gone.
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
];

/** What `pg`, Postgres and Node say of a failure, as far as they say anything. */
interface FailureFields {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly syscall?: unknown;
  readonly message?: unknown;
  readonly constraint?: unknown;
}

/** `disk_full` */
const DISK_FULL = '53100';

/** Whether Postgres refused a statement, or ended, because its disk is full. Retrying soon doesn't help. */
export function isDatabaseFull(error: unknown): boolean {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  return (Object(cause) as FailureFields).code === DISK_FULL;
}

/**
 * Whether a query failed because Postgres can't be reached or can't work now, so that trying again later may
 * help.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (UNAVAILABLE_ERRORS.some((kind) => error instanceof kind)) return true;
  if (isDatabaseFull(error)) return false;
  const fromQuery = error instanceof QueryFailedError;
  const cause: unknown = fromQuery ? error.driverError : error;
  if (typeof cause !== 'object' || cause === null) return false;
  const { code, severity, syscall, message }: FailureFields = cause;
  // FATAL and PANIC end the connection; an ERROR is about the statement.
  if (severity === 'FATAL' || severity === 'PANIC') return true;
  if (severity !== undefined)
    return UNAVAILABLE_CLASSES.includes(String(code).slice(0, 2)) || code === LOCK_NOT_AVAILABLE;
  // A connection, or the address for it, can't be had: the network, the name service, or too many open files.
  if (syscall === 'connect' || syscall === 'getaddrinfo') return true;
  if (fromQuery && UNAVAILABLE_CODES.has(String(code))) return true;
  return UNAVAILABLE_MESSAGES.some((text) => String(message).includes(text));
}

/** Whether a statement failed because a lock was not given within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === LOCK_NOT_AVAILABLE;
}

/** Whether Postgres refused a statement because of this constraint. */
export function violates(error: unknown, constraint: string): boolean {
  return error instanceof QueryFailedError && (error.driverError as FailureFields).constraint === constraint;
}

/** `unique_violation`, `foreign_key_violation`, `serialization_failure` and `deadlock_detected`. */
const CONFLICT_CODES = ['23505', '23503', '40001', '40P01'];

/**
 * Whether Postgres refused a statement for what others did at the same time, so that nothing of it happened.
 */
export function isConflict(error: unknown): boolean {
  return CONFLICT_CODES.includes(String(sqlState(error)));
}

/** `serialization_failure` and `deadlock_detected`: the statement was right, the moment wasn't. */
const DEADLOCK_CODES = ['40001', '40P01'];

/**
 * Whether Postgres ended a transaction to break a deadlock, or one like it: it can be run again from the
 * start.
 */
export function isDeadlock(error: unknown): boolean {
  return DEADLOCK_CODES.includes(String(sqlState(error)));
}

function sqlState(error: unknown): unknown {
  return error instanceof QueryFailedError ? (error.driverError as FailureFields).code : undefined;
}
