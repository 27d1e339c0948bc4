import type { ServerResponse } from 'node:http';

/** How often in a window it is looked at what the client has taken. */
const LOOKS_PER_WINDOW = 4;

/**
 * Breaks off a response whose client takes nothing for `windowMs`, or fewer than `minBytesPerSecond` on
 * average over that time. Only the time in which bytes wait for the client counts. To be called when the
 * first bytes are about to be written.
 *
 * @param minBytesPerSecond 0 for no minimum.
 */
export function breakOffSlowReader(
  response: ServerResponse,
  windowMs: number,
  minBytesPerSecond: number,
): void {
  response.setTimeout(windowMs, () => response.destroy());
  if (minBytesPerSecond === 0 || response.closed) return;
  let waitingSince: number | undefined;
  let takenThen = 0;

  const look = () => {
    const { socket } = response;
    const waiting = response.writableLength;
    if (socket === null) return;
    // Includes what the kernel has not taken yet; of a large write it takes note when all is taken.
    const taken = socket.bytesWritten - socket.writableLength;
    const begin = waiting === 0 ? undefined : performance.now();
    if (begin === undefined || waitingSince === undefined) {
      [waitingSince, takenThen] = [begin, taken];
      return;
    }
    const waitedMs = begin - waitingSince;
    const wantedBytes = (minBytesPerSecond * waitedMs) / 1000;
    if (waitedMs < windowMs) return;
    if (taken - takenThen >= wantedBytes) [waitingSince, takenThen] = [begin, taken];
    // Some of what waits may have been taken: the client is too slow even if all of it was.
    else if (taken - takenThen + waiting < wantedBytes) response.destroy();
  };

  const timer = setInterval(look, windowMs / LOOKS_PER_WINDOW).unref();
  response.once('close', () => clearInterval(timer));
}
