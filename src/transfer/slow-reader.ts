import type { ServerResponse } from 'node:http';

const CHECKS_PER_WINDOW = 4;

/**
 * Aborts a response if its client reads nothing for `windowMs`, or less than `minBytesPerSecond` on average
 * over that time. Only the time in which bytes wait for the client counts. Call it just before the first
 * bytes are written.
 *
 * @param minBytesPerSecond 0 for no minimum.
 */
export function abortSlowReader(response: ServerResponse, windowMs: number, minBytesPerSecond: number): void {
  response.setTimeout(windowMs, () => response.destroy());
  if (minBytesPerSecond === 0 || response.closed) return;
  let waitingSince: number | undefined;
  let readBefore = 0;

  const check = () => {
    const { socket } = response;
    const waiting = response.writableLength;
    if (socket === null) return;
    // The kernel confirms a large write only as a whole, so `read` may be too small, by at most `waiting`.
    const read = socket.bytesWritten - socket.writableLength;
    const now = waiting === 0 ? undefined : performance.now();
    if (now === undefined || waitingSince === undefined) {
      [waitingSince, readBefore] = [now, read];
      return;
    }
    const waitedMs = now - waitingSince;
    if (waitedMs < windowMs) return;
    const wantedBytes = (minBytesPerSecond * waitedMs) / 1000;
    if (read - readBefore >= wantedBytes) [waitingSince, readBefore] = [now, read];
    else if (read - readBefore + waiting < wantedBytes) response.destroy();
  };

  const timer = setInterval(check, windowMs / CHECKS_PER_WINDOW).unref();
  response.once('close', () => clearInterval(timer));
}
