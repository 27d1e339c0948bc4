import { QueryFailedError } from 'typeorm';

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
  'Client has encountered a connection error',
  'Cannot use a pool after calling end on the pool',
  'Driver not Connected',
];

/** Whether a query failed because Postgres can't be reached or can't work now, so that trying again later may help. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  if (!(cause instanceof Error)) return false;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  const fromPostgres = error instanceof QueryFailedError || 'severity' in cause;
  if (fromPostgres && UNAVAILABLE_CLASSES.includes(code.slice(0, 2))) return true;
  if ('syscall' in cause && cause.syscall === 'connect') return true;
  return (
    (error instanceof QueryFailedError && UNAVAILABLE_CODES.has(code)) ||
    UNAVAILABLE_MESSAGES.some((message) => cause.message.includes(message))
  );
}
