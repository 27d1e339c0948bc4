import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 5_000;

/**
 * Connections of this process that something is held for; those that wait for their next request don't count. One that was
 * let go takes a moment to close.
 */
export async function connectionsInUse(): Promise<number> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const count = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    if (count === 0 || Date.now() > deadline) return count;
    await sleep(5);
  }
}
