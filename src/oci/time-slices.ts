/** Long work in slices delays other requests by at most this time. */
const SLICE_MS = 2;

let lastTurn: Promise<unknown> = Promise.resolve();

/**
 * Resolves in a turn of the event loop of its own: one caller per turn, in the order of the calls. So the
 * work of many callers spreads over turns, and other requests are served in between.
 */
export function nextTurn(): Promise<void> {
  const turn = lastTurn.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
  lastTurn = turn;
  return turn;
}

/**
 * Runs long work in steps, for a few milliseconds per turn of the event loop.
 *
 * @param step does a part of the work, in far less than a millisecond; returns whether the work is done.
 */
export async function inTimeSlices(step: () => boolean): Promise<void> {
  for (;;) {
    await nextTurn();
    const end = performance.now() + SLICE_MS;
    while (performance.now() < end) {
      if (step()) return;
    }
  }
}

/** Runs work that pauses itself after each step, for a few milliseconds per turn of the event loop. */
export async function runInTimeSlices<T>(steps: Generator<unknown, T>): Promise<T> {
  for (;;) {
    const end = performance.now() + SLICE_MS;
    while (performance.now() < end) {
      const { done, value } = steps.next();
      if (done === true) return value;
    }
    await nextTurn();
  }
}
