import { beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { CLEAN_EXIT, expectPostgresGone, isListening } from '../support/process-bench.js';
import { isAlive } from '../support/process-tree.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { RestartBench } from '../support/restart-bench.js';
import { useProcessBench } from '../support/set-up.js';
import { SlowPull } from '../support/slow-pull.js';
import { SteadyClients } from '../support/steady-clients.js';
import { until } from '../support/until.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import {
  CHECKPOINT_SETTINGS,
  expectOneRegistry,
  expectReplacedWorker,
  fullPool,
  servedBy,
} from '../support/worker-pool.js';

const MIB = 1024 * 1024;
/** More than the kernel buffers for a client that doesn't read. */
const LARGE = 32 * MIB;

// Parents and children of processes are read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** One registry for all tests, which run in this order. Everything else about workers is in test/long. */
onLinux('workers over the embedded database', () => {
  const bench = useProcessBench({ keepProcesses: true });
  let running: RestartBench;
  let berth: BerthProcess;
  let url: string;
  let dataDir: string;

  beforeAll(async () => {
    running = await RestartBench.start(bench, CHECKPOINT_SETTINGS);
    ({ berth, url, dataDir } = running);
  });

  it('serve one registry on one address', async () => {
    await expectOneRegistry(berth);
  });

  it('append the chunks of an upload in turns', async () => {
    const whole = patternBytes(MIB);
    const upload = await UploadProbe.begin(url, dataDir);
    for (let start = 0; start < whole.length; start += 77_777) {
      const patch = upload.patch(url);
      await patch.send(whole.subarray(start, start + 77_777));
      patch.end();
      expect(await patch.status).toBe(202);
    }
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
  });

  it('are replaced when one is killed, and its uploads resume at once', async () => {
    await expectReplacedWorker(berth, dataDir);
  });

  it('finish uploads and pulls after SIGHUP, while new ones serve; no other request fails', async () => {
    const client = new RegistryClient(url);
    await client.putManifest('steady', 'v1', await client.makeImage('steady'));
    const whole = patternBytes(LARGE);
    const digest = await client.pushBlob('big/layer', whole);
    const before = await fullPool(berth);
    const push = await running.beginUpload(whole);
    const pull = await SlowPull.begin(new URL(`/v2/big/layer/blobs/${digest}`, url));
    // They push and pull all the time, and retry nothing.
    const clients = new SteadyClients(url, '/v2/steady/manifests/v1');
    await running.restart();
    const after = await running.newWorkers(before);
    await servedBy(berth, url, after);
    expect(before.some(isAlive)).toBe(true);
    expect(await push.finish()).toBe(202);
    expect(await pull.finish()).toBe(digest);
    expect(await push.upload.finish(url, whole)).toBe(digest);
    await running.gone(before);
    const { requests } = clients;
    await until('some requests', () => clients.requests > requests + 100);
    await clients.stop();
    expect(clients.failures).toEqual([]);
    expect(await fullPool(berth)).toEqual(after);
    expect(berth.log(/uploads? keep/)).toEqual([]);
  });

  it('continue if new code does not start', async () => {
    const { versions } = running;
    const before = await fullPool(berth);
    await versions.deploy('process.exit(7);', { runsBerth: false });
    await running.restart();
    await versions.deployMigration('Broken9000000000000', 'SELECT nothing');
    await running.restart();
    expect(running.failures).toEqual([
      'the restart failed; all workers continue: ' +
        'a new worker ended before it served, with exit code 7: see its log.',
      expect.stringMatching(/A worker can't use the database: .*column "nothing" does not exist/),
    ]);
    expect(await fullPool(berth)).toEqual(before);
    await servedBy(berth, url, before);
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
    await expectPostgresGone(dataDir, 0);
  });
});
