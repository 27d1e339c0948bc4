import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;

/** Waits until `condition` holds and answers whether it did in time. */
export async function holdsWithin(
  milliseconds: number,
  condition: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const giveUpAt = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) return false;
    await delay(POLL_MS);
  }
  return true;
}
