import { setTimeout as delay } from 'node:timers/promises';
import type { Conditions } from './conditions.js';
import type { ChaosPostgres } from './postgres.js';

const EVERY_MS = 250;
/**
 * A machine on which nothing takes longer than this, when nobody stands in the way, is fast enough to be
 * judged by.
 */
const MOST_MS = 500;

/** Notes when the machine was too slow to tell anything by it: this process had to wait, or a bare query. */
export async function watchMachine(
  postgres: ChaosPostgres,
  conditions: Conditions,
  isOver: () => boolean,
): Promise<void> {
  const timed = async (work: () => Promise<unknown>, mostMs: number) => {
    const from = performance.now();
    await work();
    const to = performance.now();
    if (to - from > mostMs) conditions.add('machine', { from, to });
  };
  const repeat = async (work: () => Promise<unknown>, mostMs: number) => {
    while (!isOver()) {
      await timed(work, mostMs);
      await delay(EVERY_MS);
    }
  };
  await Promise.all([
    repeat(() => delay(EVERY_MS), EVERY_MS + MOST_MS),
    repeat(() => postgres.answers(), MOST_MS),
  ]);
}
