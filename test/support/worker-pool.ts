import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { BerthProcess } from './berth-process.js';
import { eventually, holdersOf, isAlive, workersOf } from './process-tree.js';
import { digestOf, RegistryClient } from './registry-client.js';
import { patternBytes, UploadProbe } from './upload-probe.js';

const MIB = 1024 * 1024;

export const WORKERS = 2;

/** Settings of a Berth with workers. */
export const WORKER_SETTINGS = {
  WORKERS: String(WORKERS),
  DATABASE_POOL_SIZE: '6',
  SHUTDOWN_GRACE_SECONDS: '0',
};

/** With checkpoints small enough for `expectReplacedWorker`. */
export const CHECKPOINT_SETTINGS = { UPLOAD_CHECKPOINT_BYTES: String(MIB) };

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
    await fetch(`${url}/v2/_catalog?n=1`, { headers: { Connection: 'close' } }).catch(() => undefined);
    const pids = new Set(
      berth.stdout
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => (JSON.parse(line) as { pid: number }).pid),
    );
    return wanted.every((pid) => pids.has(pid)) || undefined;
  });
}

/** Expects that one address is announced, once, and the same content from all workers. */
export async function expectOneRegistry(berth: BerthProcess): Promise<void> {
  const url = await berth.url();
  expect(berth.log(/^started: /)).toMatchObject([{ workers: WORKERS, url }]);
  await servedBy(berth, url, await fullPool(berth));
  const client = new RegistryClient(url);
  expect((await client.putManifest('one', 'v1', await client.makeImage('one'))).status).toBe(201);
  for (let n = 0; n < 2 * WORKERS; n += 1) {
    const pulled = await client.fetch('/v2/one/manifests/v1', { headers: { Connection: 'close' } });
    expect(pulled.status).toBe(200);
    await pulled.arrayBuffer();
  }
}

/** Kills a worker during an upload. Expects a new worker, and that the upload resumes at once. */
export async function expectReplacedWorker(berth: BerthProcess, dataDir: string): Promise<void> {
  const url = await berth.url();
  const before = await fullPool(berth);
  const whole = patternBytes(4 * MIB);
  const upload = await UploadProbe.begin(url, dataDir);
  const patch = upload.patch(url);
  await patch.send(whole.subarray(0, 3 * MIB + 4_321));
  const durable = await upload.durable(url, 2 * MIB);
  const writer = await writerIn(dataDir, before);
  process.kill(writer, 'SIGKILL');
  expect(await patch.status).toBeUndefined();
  const after = await eventually('a new worker', async () => {
    const workers = await fullPool(berth);
    return workers.includes(writer) ? undefined : workers;
  });
  expect(after.filter((pid) => before.includes(pid))).toHaveLength(WORKERS - 1);
  const offset = await upload.offset(url);
  expect(offset).toBeGreaterThanOrEqual(durable);
  expect(await upload.append(url, offset, whole.subarray(offset))).toBe(202);
  // The file is continued: only the successor of a writer that may still be alive starts another file.
  expect(await readdir(join(dataDir, 'storage/uploads'))).toHaveLength(1);
  expect(await upload.finish(url, whole)).toBe(digestOf(whole));
  await servedBy(berth, url, after);
}
