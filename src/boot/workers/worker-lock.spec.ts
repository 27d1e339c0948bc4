import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noteWorkers, takeWorkerLock } from './worker-lock.js';

describe('takeWorkerLock', () => {
  let dir: string;
  let logged: string[];
  const log = (line: string) => void logged.push(line);
  beforeEach(() => void (logged = []));
  beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), 'berth-workers-'))));
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('waits for the holder', async () => {
    const orphan = await takeWorkerLock(dir, log);
    noteWorkers(orphan, [7]);
    expect(logged).toEqual([]);
    let taken = false;
    const waiting = takeWorkerLock(dir, log).finally(() => (taken = true));
    // Time enough for an attempt or two.
    await expect(takeWorkerLock(dir, log, 60)).rejects.toThrow();
    expect(taken).toBe(false);
    orphan.release();
    (await waiting).release();
    const line = 'Waiting for workers that an earlier Berth left running (one of pid 7)';
    expect(logged).toEqual([line, line]);
  });

  it('fails with a sentence that names the processes to stop', async () => {
    const orphan = await takeWorkerLock(dir, log);
    noteWorkers(orphan, [12, 345]);
    await expect(takeWorkerLock(dir, log, 0)).rejects.toThrow(
      "A worker that an earlier Berth left running (one of pid 12, 345) doesn't end " +
        `and uses DATA_DIR (${dir}): stop it first.`,
    );
    orphan.release();
  });
});
