import { isNativeError } from 'node:util/types';

/** The `code` of a system error (`ENOENT`) or of Postgres' (its SQLSTATE), if there is one. */
export function errorCode(error: unknown): string | undefined {
  const { code } = Object(error) as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}

/** What was thrown, as an Error. Unlike `instanceof` it knows those of another realm, such as Node's within Jest. */
export function toError(thrown: unknown): Error {
  return isNativeError(thrown) ? thrown : new Error(String(thrown));
}
