import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noteWorkers, takeWorkerLock } from './worker-lock.js';

describe('takeWorkerLock', () => {
  let dir: string;
  beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), 'berth-workers-'))));
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('waits for who has it', async () => {
    const orphan = await takeWorkerLock(dir);
    let taken = false;
    const waiting = takeWorkerLock(dir).finally(() => (taken = true));
    // Time enough for an attempt or two.
    await expect(takeWorkerLock(dir, 60)).rejects.toThrow();
    expect(taken).toBe(false);
    orphan.release();
    (await waiting).release();
  });

  it('gives up with a sentence that says whom to stop', async () => {
    const orphan = await takeWorkerLock(dir);
    noteWorkers(orphan, [12, 345]);
    await expect(takeWorkerLock(dir, 0)).rejects.toThrow(
      `A worker that an earlier Berth left behind (among pid 12, 345) doesn't end and has DATA_DIR (${dir}) in use: stop it first.`,
    );
    orphan.release();
  });
});
