import { setTimeout as delay } from 'node:timers/promises';
import { isDatabaseUnavailable } from './errors/database-errors.js';

const PAUSE_MS = { first: 50, most: 1_000 };

/**
 * Does `work` again while Postgres can't be reached: a restart or a failover takes seconds, and a client that is sent away in the middle
 * of a layer may begin it anew. The answer of the last attempt may have been lost, so `work` must be right when it is repeated.
 *
 * @throws what `work` threw at last, after `patienceMs`; any other failure at once.
 */
export async function outlastOutage<T>(patienceMs: number, work: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  for (let pause = PAUSE_MS.first; ; pause = Math.min(2 * pause, PAUSE_MS.most)) {
    try {
      return await work();
    } catch (error) {
      if (!isDatabaseUnavailable(error) || performance.now() + pause > giveUpAt) throw error;
    }
    await delay(pause, undefined, { ref: false });
  }
}
