import { setTimeout as delay } from 'node:timers/promises';
import type { FaultTimeline } from './fault-timeline.js';
import type { ChaosPostgres } from './postgres.js';

const EVERY_MS = 250;
/** If a timer or a bare query is later than this, the machine is too slow to evaluate the registry. */
const MAX_MS = 500;

/** Records when the machine was too slow: a timer of this process or a bare query was late. */
export async function watchMachine(
  postgres: ChaosPostgres,
  timeline: FaultTimeline,
  isOver: () => boolean,
): Promise<void> {
  const timed = async (work: () => Promise<unknown>, mostMs: number) => {
    const from = performance.now();
    await work();
    const to = performance.now();
    if (to - from > mostMs) timeline.add('machine', { from, to });
  };
  const repeat = async (work: () => Promise<unknown>, mostMs: number) => {
    while (!isOver()) {
      await timed(work, mostMs);
      await delay(EVERY_MS);
    }
  };
  await Promise.all([
    repeat(() => delay(EVERY_MS), EVERY_MS + MAX_MS),
    repeat(() => postgres.isReady(), MAX_MS),
  ]);
}
