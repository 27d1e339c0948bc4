import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { builtMain } from '../support/built-berth.js';
import { CLEAN_EXIT, expectPostgresGone, freePort, postmasterPid } from '../support/process-bench.js';
import { eventually, isAlive, workersOf } from '../support/process-tree.js';
import { digestOf } from '../support/registry-client.js';
import { RestartBench } from '../support/restart-bench.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';
import { fullPool, WORKERS } from '../support/worker-pool.js';

const MIB = 1024 * 1024;

// Children of processes are read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('a restart of workers', () => {
  const bench = useProcessBench();
  const database = useTestDatabase();

  it('applies the migrations of new code', async () => {
    const running = await RestartBench.start(bench, { DATABASE_URL: database.url });
    const client = new pg.Client(database.connection);
    await client.connect();
    await running.versions.deployMigration('Added9000000000001', 'CREATE TABLE added (id int)');
    await running.restart();
    const { rows } = await client.query("SELECT name FROM migrations WHERE name LIKE 'Added%'");
    const { rowCount } = await client.query('SELECT * FROM added');
    await client.end();
    expect([running.failures, rows, rowCount]).toEqual([[], [{ name: 'Added9000000000001' }], 0]);
  });
});

/** One registry for all tests, which run in this order. */
onLinux('a restart of workers in one registry', () => {
  const bench = useProcessBench({ keepProcesses: true });
  const database = useTestDatabase();
  let running: RestartBench;
  beforeAll(async () => {
    running = await RestartBench.start(bench, { DATABASE_URL: database.url });
  });

  it('replaces one worker that got SIGTERM', async () => {
    const [one = 0, other = 0] = await fullPool(running.berth);
    process.kill(one, 'SIGTERM');
    await running.gone([one]);
    expect(await fullPool(running.berth)).toContain(other);
  });

  it('is done once more after it, for a signal that arrives meanwhile', async () => {
    const { berth } = running;
    const before = await fullPool(berth);
    const logged = berth.log(/^restart/).length;
    await running.versions.deploy('await new Promise((resolve) => setTimeout(resolve, 1_000));');
    berth.signal('SIGHUP');
    await eventually('a starting worker', () => workersOf(berth.pid).length > WORKERS || undefined);
    const first = workersOf(berth.pid).filter((pid) => !before.includes(pid));
    await running.restart();
    await running.gone([...before, ...first]);
    const messages = berth.log(/^restart/).map(({ msg }) => msg);
    expect(messages.slice(logged)).toEqual([
      'restarting: 2 workers, one after the other',
      'restarting, after the restart in progress: 2 workers, one after the other',
      expect.stringMatching(/^restarted in .+: 3 workers replaced, version \d+\.\d+\.\d+$/),
    ]);
  });

  it('continues with new workers while an old one is killed', async () => {
    const { berth, url } = running;
    const before = await fullPool(berth);
    const whole = patternBytes(2 * MIB);
    const push = await running.beginUpload(whole);
    await running.restart();
    for (const pid of before.filter(isAlive)) process.kill(pid, 'SIGKILL');
    expect(await push.status).toBeUndefined();
    // Its lease is released, so nothing waits for its end.
    expect(await push.upload.finish(url, whole)).toBe(digestOf(whole));
    expect(await fullPool(berth)).toEqual(await running.newWorkers(before));
  });

  it('is followed by a stop that ends old, new and starting workers, and lets an upload finish', async () => {
    const { berth, url, dataDir, versions } = running;
    const whole = patternBytes(2 * MIB);
    const push = await running.beginUpload(whole);
    // An old worker waits for the next request on this one.
    await fetch(`${url}/v2/`);
    await running.restart();
    await versions.deploy('await new Promise((resolve) => setTimeout(resolve, 3_000));');
    const known = workersOf(berth.pid);
    berth.signal('SIGHUP');
    await eventually(
      'a starting worker',
      () => workersOf(berth.pid).some((pid) => !known.includes(pid)) || undefined,
    );
    const workers = workersOf(berth.pid);
    berth.signal('SIGTERM');
    await berth.printed(/stopping \(SIGTERM\): waits up to 300 s for 1 request, 1 upload/, 30_000);
    expect(await push.finish()).toBe(202);
    expect(await berth.ended(60_000)).toMatchObject(CLEAN_EXIT);
    expect(workers.filter(isAlive)).toEqual([]);
    const next = await bench.start({ DATA_DIR: dataDir, DATABASE_URL: database.url }).url();
    expect(await push.upload.finish(next, whole)).toBe(digestOf(whole));
  });
});

onLinux('a terminal', () => {
  const bench = useProcessBench();

  it.each(['1', '2'])('that is closed stops WORKERS=%s, a SIGHUP before does not', async (count) => {
    const dataDir = bench.newDataDir();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    // `script` runs a command in a terminal of its own.
    const terminal = spawn('script', ['-qec', `exec ${process.execPath} ${await builtMain()}`, '/dev/null'], {
      cwd: bench.scratch,
      env: { PATH: process.env['PATH'], PORT: String(port), DATA_DIR: dataDir, WORKERS: count },
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    let output = '';
    terminal.stdout.on('data', (text: Buffer) => (output += String(text)));
    await until('the banner', () => output.includes('Started in'));
    const pid = Number(/as process (\d+)/.exec(output)?.[1]);
    process.kill(pid, 'SIGHUP');
    await until('the restart', () => /nothing was restarted|restarted in/.test(output));
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
    const closed = once(terminal, 'close');
    terminal.kill('SIGKILL');
    await closed;
    await until('the end', () => !isAlive(pid));
    await expectPostgresGone(dataDir);
    expect(postmasterPid(dataDir)).toBeUndefined();
  });
});
