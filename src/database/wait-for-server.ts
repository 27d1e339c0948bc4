import { setTimeout as delay } from 'node:timers/promises';
import { oneLine } from './errors/one-line.js';
import { asDatabaseError, isDatabaseUnavailable } from './errors/database-errors.js';

/** The pause between attempts, and how often the wait is reported. */
export const WAIT_PACE = { pauseMs: 500, reportMs: 10_000 };

export interface ServerWait {
  /** 0: no wait. */
  readonly waitSeconds: number;
  /** For messages. */
  readonly name: string;
  /** Called when the wait begins, and then every 10 s. */
  readonly warn: (line: string) => void;
}

/** What a server says that will accept connections later: starting or stopping, or out of connections. */
const TEMPORARY = new Set(['57P03', '57P01', '57P02', '53300']);

/** What keeps a socket file from being opened does not pass by itself. */
const FINAL = new Set(['EACCES', 'EPERM', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);

/**
 * Calls `connect` until the server accepts the connection: it may start at the same time as Berth, or its
 * name may not be known yet.
 *
 * @throws the last error of `connect` after `waitSeconds`; any error that time does not mend, such as a wrong
 *   password, at once.
 */
export async function waitForServer<T>(
  connect: () => Promise<T>,
  { waitSeconds, name, warn }: ServerWait,
  { pauseMs, reportMs } = WAIT_PACE,
): Promise<T> {
  const startedAt = performance.now();
  let reportedAt = -Infinity;
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      if (!isTemporary(error) || waitSeconds === 0) throw error;
      const now = performance.now();
      const waited = Math.round((now - startedAt) / 1000);
      const reason = oneLine(error);
      if (now - startedAt + pauseMs > waitSeconds * 1000)
        throw new Error(`${reason}; waited ${waited} s for it (DATABASE_WAIT_SECONDS)`, { cause: error });
      if (now - reportedAt >= reportMs) {
        reportedAt = now;
        const limit = `up to ${waitSeconds} s (DATABASE_WAIT_SECONDS)`;
        warn(`waiting for ${name}, ${limit}, ${waited} s so far: ${reason}`);
      }
    }
    await delay(pauseMs);
  }
}

/** Whether a failure to connect may pass by itself, unlike a wrong password. */
export function isTemporary(error: unknown): boolean {
  const { code = '', severity } = Object(error) as { code?: string; severity?: unknown };
  if (severity !== undefined) return TEMPORARY.has(code);
  return !FINAL.has(code) && isDatabaseUnavailable(asDatabaseError(error));
}
