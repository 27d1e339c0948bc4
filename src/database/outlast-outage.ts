import { setTimeout as delay } from 'node:timers/promises';
import { outages, outageSeconds } from '../observability/metrics/database.metrics.js';
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
  const startedAt = performance.now();
  const deadline = startedAt + timeoutMs;
  let isOutage = false;
  const count = (outcome: 'outlasted' | 'exceeded') => {
    outages.inc([outcome]);
    outageSeconds.inc((performance.now() - startedAt) / 1000);
  };
  for (let pause = BACKOFF_MS.first; ; pause = Math.min(2 * pause, BACKOFF_MS.max)) {
    try {
      const result = await work();
      if (isOutage) count('outlasted');
      return result;
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      isOutage = true;
      if (performance.now() + pause > deadline) {
        count('exceeded');
        throw error;
      }
    }
    await delay(pause, undefined, { ref: false });
  }
}
