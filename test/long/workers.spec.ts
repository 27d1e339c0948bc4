import { afterEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { closeFetchConnections } from '../support/fetch-connections.js';
import { authorityOf, fetchTrusting } from '../support/https-client.js';
import { MovingUpload } from '../support/moving-upload.js';
import { CLEAN_EXIT, expectPostgresGone, isListening } from '../support/process-bench.js';
import { eventually, isAlive } from '../support/process-tree.js';
import { portInUse } from '../support/refused-start.js';
import { digestOf } from '../support/registry-client.js';
import { useOtherServers, useProcessBench, useTestDatabase } from '../support/set-up.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import {
  CHECKPOINT_SETTINGS,
  expectOneRegistry,
  expectReplacedWorker,
  fullPool,
  servedBy,
  WORKER_SETTINGS,
  WORKERS,
  writerIn,
} from '../support/worker-pool.js';

const MIB = 1024 * 1024;

// Parents and children of processes are read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** Processes that a test froze. They continue after it, also if it failed: otherwise they would never end. */
const frozen = new Set<number>();
const thaw = () => {
  for (const pid of frozen) if (isAlive(pid)) process.kill(pid, 'SIGCONT');
  frozen.clear();
};
afterEach(thaw);
const bench = useProcessBench();
const database = useTestDatabase();

function settings(environment: Record<string, string> = {}): Record<string, string> & { DATA_DIR: string } {
  return { DATA_DIR: bench.newDataDir(), ...WORKER_SETTINGS, ...environment };
}

// test/process/workers.spec.ts has the same tests with the embedded database.
onLinux('workers over an external database', () => {
  // All tests share the database, so they share its storage.
  let dataDir: string | undefined;
  const over = () => {
    dataDir ??= bench.newDataDir();
    return settings({ DATABASE_URL: database.url, DATA_DIR: dataDir });
  };

  it('serve one registry on one address', async () => {
    await expectOneRegistry(bench.start(over()));
  });

  it('are replaced when one is killed, and its uploads resume at once', async () => {
    const environment = { ...over(), ...CHECKPOINT_SETTINGS };
    await expectReplacedWorker(bench.start(environment), environment.DATA_DIR);
  });

  it('serve TLS with certificates of the same authority', async () => {
    const berth = bench.start({ ...over(), TLS: 'auto' });
    const url = new URL('/auth/ca.crt', await berth.url());
    const workers = await fullPool(berth);
    const authority = await authorityOf(url.origin);
    await eventually('responses of all workers', async () => {
      const response = await fetchTrusting(url, { headers: { Connection: 'close' } }, authority);
      expect(await response.text()).toBe(authority);
      const pids = new Set(berth.log(/^request/).map(({ pid }) => pid));
      return workers.every((pid) => pids.has(pid)) || undefined;
    });
  });
});

onLinux('workers', () => {
  it('all end on Ctrl-C', async () => {
    const environment = settings();
    const berth = bench.start(environment);
    const url = await berth.url();
    const workers = await fullPool(berth);
    berth.signalGroup('SIGINT');
    expect(await berth.ended()).toMatchObject(CLEAN_EXIT);
    expect(berth.log(/^stop/).map(({ pid }) => pid)).toEqual([berth.pid, berth.pid]);
    expect(workers.filter(isAlive)).toEqual([]);
    expect(await isListening(url)).toBe(false);
    await expectPostgresGone(environment.DATA_DIR, 0);
  });

  it('keep the bytes received before a stop', async () => {
    const environment = settings({ UPLOAD_CHECKPOINT_BYTES: String(64 * MIB) });
    const berth = bench.start(environment);
    const url = await berth.url();
    const whole = patternBytes(2 * MIB);
    const upload = await UploadProbe.begin(url, environment.DATA_DIR);
    const patch = upload.patch(url);
    await patch.send(whole.subarray(0, MIB + 99));
    await upload.bytesWritten(MIB + 99);
    berth.signal('SIGTERM');
    expect(await berth.ended()).toMatchObject({ code: 0, stderr: '' });
    // The primary asks its workers.
    expect(berth.log(/^stopping \(/)).toMatchObject([{ pid: berth.pid, stop: { requests: 1, uploads: 1 } }]);
    expect([undefined, 503]).toContain(await patch.status);
    const next = await bench.start(environment).url();
    expect(await upload.offset(next)).toBe(MIB + 99);
    expect(await upload.finish(next, whole)).toBe(digestOf(whole));
  });

  it('finish their requests after SIGTERM to each worker, and are replaced', async () => {
    const environment = settings({ SHUTDOWN_GRACE_SECONDS: '60' });
    const berth = bench.start(environment);
    const url = await berth.url();
    const before = await fullPool(berth);
    const whole = patternBytes(MIB);
    const push = await MovingUpload.begin(url, environment.DATA_DIR, whole);
    const writer = await writerIn(environment.DATA_DIR, before);
    for (const pid of before) process.kill(pid, 'SIGTERM');
    await closeFetchConnections();
    // The idle worker ends when another one serves, the other one after its response.
    await eventually('the idle one to end', () => !before.every(isAlive) || undefined);
    expect(isAlive(writer)).toBe(true);
    expect(await push.finish()).toBe(202);
    await closeFetchConnections();
    await eventually('the writer to end', () => !isAlive(writer) || undefined);
    const after = await fullPool(berth);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    await servedBy(berth, url, after);
    expect(await push.upload.finish(url, whole)).toBe(digestOf(whole));
  });

  it('keep their address when all of them are killed', async () => {
    const berth = bench.start(settings());
    const url = await berth.url();
    const before = await fullPool(berth);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    const after = await eventually('new workers', async () => {
      const workers = await fullPool(berth);
      return workers.some((pid) => before.includes(pid)) ? undefined : workers;
    });
    await servedBy(berth, url, after);
  });

  it('are replaced when one is killed under load: its requests break, and no client waits', async () => {
    const berth = bench.start(settings({ LOG_LEVEL: 'warn' }));
    const url = await berth.url();
    const before = await fullPool(berth);
    const outcomes = new Map<string, number>();
    let replaced = false;
    const clients = Array.from({ length: 16 }, async () => {
      while (!replaced) {
        // Each request has its own connection, which may be in transit to the killed worker.
        const outcome = await fetch(`${url}/v2/`, {
          headers: { Connection: 'close' },
          signal: AbortSignal.timeout(20_000),
        }).then(
          async (response) => response.text().then(() => String(response.status)),
          (error: unknown) => (String(error).startsWith('TimeoutError') ? 'timed out' : 'broken'),
        );
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    });
    await eventually('some load', () => (outcomes.get('200') ?? 0) > 200 || undefined);
    process.kill(before[0]!, 'SIGKILL');
    await eventually('a new worker', async () => !(await fullPool(berth)).includes(before[0]!) || undefined);
    replaced = true;
    await Promise.all(clients);
    expect([...outcomes.keys()].sort()).toEqual(outcomes.has('broken') ? ['200', 'broken'] : ['200']);
  });

  it('end cleanly if their primary is killed while it receives a message', async () => {
    const note = join(bench.scratch, 'exit-code');
    const program = `
      if (process.send) {
        process.on('SIGUSR2', () => {
          process.kill(process.ppid, 'SIGKILL');
          const end = Date.now() + 500;
          while (Date.now() < end);
          process.send({ cmd: 'NODE_TEST' });
        });
        process.on('exit', (code) => process.getBuiltinModule('fs').appendFileSync('${note}', code + ' '));
      }`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(program)}`;
    const berth = bench.start(settings({ NODE_OPTIONS }));
    await berth.url();
    const [one, ...others] = await fullPool(berth);
    process.kill(one!, 'SIGUSR2');
    await eventually('the end of the workers', () => ![one!, ...others].some(isAlive) || undefined);
    expect(readFileSync(note, 'utf8')).toBe('0 '.repeat(WORKERS));
  });

  it('end when their primary is killed, and keep the received bytes; the next start resumes', async () => {
    const environment = settings({
      UPLOAD_CHECKPOINT_BYTES: String(64 * MIB),
      SHUTDOWN_GRACE_SECONDS: '3600',
    });
    const first = bench.start(environment);
    const url = await first.url();
    const orphans = await fullPool(first);
    const whole = patternBytes(3 * MIB);
    const upload = await UploadProbe.begin(url, environment.DATA_DIR);
    const patch = upload.patch(url);
    await patch.send(whole.subarray(0, 2 * MIB + 777));
    await upload.bytesWritten(2 * MIB + 777);
    // Frozen, so that the next start finds it in the middle of its write.
    const writer = await writerIn(environment.DATA_DIR, orphans);
    frozen.add(writer);
    process.kill(writer, 'SIGSTOP');
    first.signal('SIGKILL');
    await eventually('the end of the primary', () => !first.isRunning || undefined);
    const next = bench.start({ ...environment, WORKERS: '1' });
    await eventually('the other worker to end', () => orphans.filter(isAlive).length === 1 || undefined);
    // Without waiting it would stop the database of the writer.
    await next.printed(/Waiting for workers that an earlier Berth left running/, 30_000);
    thaw();
    const nextUrl = await next.url();
    expect(orphans.filter(isAlive)).toEqual([]);
    expect(first.log(/^the primary has ended/)).toHaveLength(WORKERS);
    expect(first.log(/uploads? keep/)).toMatchObject([
      { msg: expect.stringMatching(/^stopping at once: 1 /) },
    ]);
    expect([undefined, 503]).toContain(await patch.status);
    expect(await upload.offset(nextUrl)).toBe(2 * MIB + 777);
    expect(await upload.finish(nextUrl, whole)).toBe(digestOf(whole));
  });
});

describe('a start with workers that fails', () => {
  const servers = useOtherServers();

  /** Workers may log before the start fails. */
  async function refusal(environment: Record<string, string>): Promise<string> {
    const { code, stdout, stderr } = await bench.start(environment).ended(60_000);
    expect({ code, started: stdout.includes('started: ready') }).toEqual({ code: 1, started: false });
    expect(stderr).toMatch(/^[^\n]+\.\n$/);
    return stderr.trimEnd();
  }

  it.each(['0', 'abc', '65', '1.5'])('WORKERS=%s', async (value) => {
    expect(await refusal({ WORKERS: value })).toBe(
      'The configuration is invalid: WORKERS – expected a number of processes from 1 to 64, or auto.',
    );
  });

  it.each(['2', 'auto'])('WORKERS=%s over memory', async (value) => {
    expect(await refusal({ WORKERS: value, STORAGE_DRIVER: 'memory' })).toContain(
      'WORKERS – expected 1 with STORAGE_DRIVER=memory',
    );
  });

  it('a port in use, before a database is created', async () => {
    const { port } = await servers.listen();
    const environment = settings({ PORT: String(port) });
    expect(await refusal(environment)).toBe(portInUse(port));
    expect(await readdir(environment.DATA_DIR)).toEqual(expect.not.arrayContaining(['postgres']));
    await expectPostgresGone(environment.DATA_DIR, 0);
  });

  it('a storage directory below a file', async () => {
    const root = join(await bench.write('file', ''), 'blobs');
    expect(await refusal(settings({ STORAGE_FILESYSTEM_ROOT: root }))).toMatch(
      /^The storage can't be used: .+ is not a directory/,
    );
  });

  it('workers that die before they serve', async () => {
    // Only a worker has `process.send`.
    const program = 'if(process.send)process.exit(7)';
    const environment = settings({ NODE_OPTIONS: `--import=data:text/javascript,${program}` });
    expect(await refusal(environment)).toBe(
      '5 workers in a row ended before they served, the last one with exit code 7: see their log.',
    );
    await expectPostgresGone(environment.DATA_DIR, 0);
  });
});
