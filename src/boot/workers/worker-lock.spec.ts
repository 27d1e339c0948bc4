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

  it('waits for who has it', async () => {
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
    const line = 'Waiting for the workers that an earlier Berth left behind (among pid 7)';
    expect(logged).toEqual([line, line]);
  });

  it('gives up with a sentence that says whom to stop', async () => {
    const orphan = await takeWorkerLock(dir, log);
    noteWorkers(orphan, [12, 345]);
    await expect(takeWorkerLock(dir, log, 0)).rejects.toThrow(
      `A worker that an earlier Berth left behind (among pid 12, 345) doesn't end and has DATA_DIR (${dir}) in use: stop it first.`,
    );
    orphan.release();
  });
});
