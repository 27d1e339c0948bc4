import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;

/** Waits until `condition` returns true. Returns false after a timeout. */
export async function holdsWithin(
  milliseconds: number,
  condition: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const endsAt = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > endsAt) return false;
    await delay(POLL_MS);
  }
  return true;
}
