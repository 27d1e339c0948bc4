import { setTimeout as sleep } from 'node:timers/promises';

/** For hangs only. */
const TIMEOUT_MS = 120_000;

/**
 * Counts the busy connections of this process, without those that existed at the time of the call.
 * Idle kept-alive connections do not count. A released connection takes a moment to close.
 */
export function watchConnections(): () => Promise<number> {
  const before = activeConnections();
  return async () => {
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      const count = Math.max(activeConnections() - before, 0);
      if (count === 0 || Date.now() > deadline) return count;
      await sleep(5);
    }
  };
}

function activeConnections(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
}
