import { beforeAll, describe, expect, it } from '@jest/globals';
import { isAlive } from '../support/process-tree.js';
import { RegistryClient } from '../support/registry-client.js';
import { RestartBench } from '../support/restart-bench.js';
import { useProcessBench } from '../support/set-up.js';
import { SlowPull } from '../support/slow-pull.js';
import { SteadyClients } from '../support/steady-clients.js';
import { until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';
import { fullPool, servedBy } from '../support/worker-pool.js';

const MIB = 1024 * 1024;
/** More than the kernel buffers for a client that doesn't read. */
const LARGE = 32 * MIB;

// Children of processes are read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** One registry for all tests, which run in this order. Everything else is in test/long. */
onLinux('SIGHUP', () => {
  const bench = useProcessBench({ keepProcesses: true });
  let running: RestartBench;
  beforeAll(async () => void (running = await RestartBench.start(bench)));

  it('lets uploads and pulls finish on the old workers, while new ones serve', async () => {
    const { berth, url } = running;
    const before = await fullPool(berth);
    const whole = patternBytes(LARGE);
    const digest = await new RegistryClient(url).pushBlob('big/layer', whole);
    const push = await running.beginUpload(whole);
    const pull = await SlowPull.begin(new URL(`/v2/big/layer/blobs/${digest}`, url));
    await running.restart();
    const after = await running.newWorkers(before);
    await servedBy(berth, url, after);
    expect(before.some(isAlive)).toBe(true);
    expect(await push.finish()).toBe(202);
    expect(await pull.finish()).toBe(digest);
    expect(await push.upload.finish(url, whole)).toBe(digest);
    await running.gone(before);
    expect(await fullPool(berth)).toEqual(after);
    expect(berth.log(/uploads? keep/)).toEqual([]);
  });

  it('fails no request of clients that push and pull all the time', async () => {
    const { berth, url } = running;
    const client = new RegistryClient(url);
    await client.putManifest('steady', 'v1', await client.makeImage('steady'));
    const clients = new SteadyClients(url, '/v2/steady/manifests/v1');
    const before = await fullPool(berth);
    await running.restart();
    await running.gone(before);
    const { requests } = clients;
    await until('some requests', () => clients.requests > requests + 100);
    await clients.stop();
    expect(clients.failures).toEqual([]);
  });

  it('keeps the old workers if new code does not start', async () => {
    const { berth, url, versions } = running;
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

  it('is refused with a warning by one process, which continues', async () => {
    const berth = bench.start({ DATA_DIR: bench.newDataDir() });
    const url = await berth.url();
    berth.signal('SIGHUP');
    await berth.printed(/SIGHUP: nothing was restarted, .+ WORKERS=2/, 30_000);
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
  });
});
