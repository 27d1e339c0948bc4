import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 5_000;

/**
 * Counts the connections of this process that something is held for, beyond those that there are now: other tests of the
 * process may have left some. Those that wait for their next request don't count, and one that was let go takes a moment to close.
 */
export function watchConnections(): () => Promise<number> {
  const before = activeConnections();
  return async () => {
    const deadline = Date.now() + PATIENCE_MS;
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
