import { setTimeout as delay } from 'node:timers/promises';
import { isDatabaseUnavailable } from './errors/database-errors.js';

const BACKOFF_MS = { first: 50, max: 1_000 };

/**
 * Retries `work` while Postgres is unavailable. A restart or failover takes seconds; without a retry, a
 * client in the middle of a layer would have to start it again. `work` must be idempotent: an attempt may
 * have succeeded although its response was lost.
 *
 * @throws the last error of `work` after `timeoutMs`, and any other error at once.
 */
export async function outlastOutage<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let pause = BACKOFF_MS.first; ; pause = Math.min(2 * pause, BACKOFF_MS.max)) {
    try {
      return await work();
    } catch (error) {
      if (!isDatabaseUnavailable(error) || performance.now() + pause > deadline) throw error;
    }
    await delay(pause, undefined, { ref: false });
  }
}
