/** Requests wait this much longer, at the most by long work that is done in slices. */
const SLICE_MS = 2;

let lastTurn: Promise<unknown> = Promise.resolve();

/**
 * Resolves in a turn of the event loop of its own: of all who wait, one goes on per turn, in the order of
 * their calls. What they have to do then adds up over turns, between which other requests are served, and
 * never within one.
 */
export function nextTurn(): Promise<void> {
  const turn = lastTurn.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
  lastTurn = turn;
  return turn;
}

/**
 * Does long work in steps, some milliseconds of them per turn of the event loop.
 *
 * @param step a part of the work that takes far less than a millisecond; returns whether the work is done.
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
