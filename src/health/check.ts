/** What readiness checks, in the order of the response. */
export const CHECK_NAMES = ['database', 'migrations', 'storage', 'identity'] as const;
export type CheckName = (typeof CHECK_NAMES)[number];

/**
 * - `full`: it can be read but has no space left;
 * - `newer`: a newer version of Berth has changed the schema, which this one can use;
 * - `unknown`: not checked, because another check failed.
 */
export const CHECK_STATUSES = ['ok', 'full', 'newer', 'failed', 'unknown'] as const;
export type CheckStatus = (typeof CHECK_STATUSES)[number];

/** The result of a check, with its reason if that is not `ok`. Only the log shows reasons. */
export interface Finding {
  readonly status: CheckStatus;
  readonly reason?: Error;
}

export const OK: Finding = { status: 'ok' };
export const UNKNOWN: Finding = { status: 'unknown' };

export function failed(reason: Error): Finding {
  return { status: 'failed', reason };
}

/**
 * How long a check may take: longer than a healthy dependency, shorter than the probe timeout of common
 * orchestrators.
 */
export const CHECK_TIMEOUT_MS = 2_000;
