import { setTimeout as sleep } from 'node:timers/promises';

/** For hangs only: shorter than Jest's limit, so that the message says what did not happen. */
const TIMEOUT_MS = 240_000;

/** Waits until something holds. @throws with its name if it never does */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}`);
    await sleep(20);
  }
}

/** Asks until the result is right and returns it. After a hang it returns the last, wrong one. */
export async function eventually<T>(ask: () => Promise<T>, isRight: (result: T) => boolean): Promise<T> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const result = await ask();
    if (isRight(result) || Date.now() > deadline) return result;
    await sleep(10);
  }
}
