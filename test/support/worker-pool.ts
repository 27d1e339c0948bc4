import { join } from 'node:path';
import type { BerthProcess } from './berth-process.js';
import { eventually, holdersOf, isAlive, workersOf } from './process-tree.js';

export const WORKERS = 2;

/** Settings of a Berth with workers. */
export const WORKER_SETTINGS = {
  WORKERS: String(WORKERS),
  DATABASE_POOL_SIZE: '6',
  SHUTDOWN_GRACE_SECONDS: '0',
};

/** The process ids of the workers, as soon as all of them run. */
export function fullPool(berth: BerthProcess): Promise<number[]> {
  return eventually('all workers', () => {
    const workers = workersOf(berth.pid).filter(isAlive);
    return workers.length === WORKERS ? workers : undefined;
  });
}

/** The worker that writes an upload to the file system. */
export function writerIn(dataDir: string, workers: readonly number[]): Promise<number> {
  return eventually('a writer', () => holdersOf(join(dataDir, 'storage/uploads'), workers)[0]);
}

/** Waits until each of these workers has served a request, by the process ids in the log. */
export async function servedBy(berth: BerthProcess, url: string, wanted: readonly number[]): Promise<void> {
  await eventually('responses of all workers', async () => {
    // A new connection may reach another worker. It is refused while no worker listens.
    await fetch(`${url}/v2/`, { headers: { Connection: 'close' } }).catch(() => undefined);
    const pids = new Set(
      berth.stdout
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => (JSON.parse(line) as { pid: number }).pid),
    );
    return wanted.every((pid) => pids.has(pid)) || undefined;
  });
}
