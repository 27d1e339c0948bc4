import { beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { CLEAN_EXIT, expectPostgresGone, isListening } from '../support/process-bench.js';
import { isAlive } from '../support/process-tree.js';
import { digestOf } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import {
  CHECKPOINT_SETTINGS,
  expectOneRegistry,
  expectReplacedWorker,
  fullPool,
  WORKER_SETTINGS,
} from '../support/worker-pool.js';

const MIB = 1024 * 1024;

// Parents and children of processes are read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** One registry for all tests, which run in this order. Everything else about workers is in test/long. */
onLinux('workers over the embedded database', () => {
  const bench = useProcessBench({ keepProcesses: true });
  let berth: BerthProcess;
  let url: string;
  let settings: Record<string, string> & { DATA_DIR: string };

  beforeAll(async () => {
    settings = { ...WORKER_SETTINGS, ...CHECKPOINT_SETTINGS, DATA_DIR: bench.newDataDir() };
    berth = bench.start(settings);
    url = await berth.url();
  });

  it('serve one registry on one address', async () => {
    await expectOneRegistry(berth);
  });

  it('append the chunks of an upload in turns', async () => {
    const whole = patternBytes(MIB);
    const upload = await UploadProbe.begin(url, settings.DATA_DIR);
    for (let start = 0; start < whole.length; start += 77_777) {
      const patch = upload.patch(url);
      await patch.send(whole.subarray(start, start + 77_777));
      patch.end();
      expect(await patch.status).toBe(202);
    }
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
  });

  it('are replaced when one is killed, and its uploads resume at once', async () => {
    await expectReplacedWorker(berth, settings.DATA_DIR);
  });

  it('all end on SIGTERM', async () => {
    const workers = await fullPool(berth);
    berth.signal('SIGTERM');
    expect(await berth.ended()).toMatchObject(CLEAN_EXIT);
    expect(workers.filter(isAlive)).toEqual([]);
    // One set of lines: the primary's.
    expect(berth.log(/^stop/)).toMatchObject([
      { pid: berth.pid, msg: 'stopping (SIGTERM): nothing to wait for' },
      { pid: berth.pid, stop: { exitCode: 0 } },
    ]);
    expect(await isListening(url)).toBe(false);
    await expectPostgresGone(settings.DATA_DIR, 0);
  });
});
