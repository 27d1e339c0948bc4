import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expectPostgresGone, isListening, ProcessBench } from '../support/process-bench.js';
import { eventually, isAlive } from '../support/process-tree.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { createTestDatabase, type TestDatabase } from '../support/test-postgres.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { fullPool, servedBy, WORKER_SETTINGS, WORKERS, writerIn } from '../support/worker-pool.js';

const MIB = 1024 * 1024;

// Who is whose child is read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

let bench: ProcessBench;
let database: TestDatabase;
beforeAll(async () => {
  bench = await ProcessBench.open();
  database = await createTestDatabase();
});
/** Frozen by a test; one that failed before it thawed them would wait for their end for ever. */
const frozen = new Set<number>();
const thaw = () => {
  for (const pid of frozen) if (isAlive(pid)) process.kill(pid, 'SIGCONT');
  frozen.clear();
};
afterEach(thaw);
afterEach(() => bench.clear());
afterAll(async () => {
  await bench.dispose();
  await database.drop();
});

function settings(environment: Record<string, string> = {}): Record<string, string> & { DATA_DIR: string } {
  return { DATA_DIR: bench.newDataDir(), ...WORKER_SETTINGS, ...environment };
}

// test/process/workers.spec.ts has these over the embedded database.
onLinux('workers over an external database', () => {
  // All tests share the database, so they share its storage.
  let dataDir: string | undefined;
  const over = () => {
    dataDir ??= bench.newDataDir();
    return settings({ DATABASE_URL: database.url, DATA_DIR: dataDir });
  };

  it('serve one registry on one address', async () => {
    const berth = bench.start(over());
    const url = await berth.url();
    expect(berth.stdout).toContain(`\n  workers   ${WORKERS}\n`);
    expect(berth.stdout.match(/^Berth /gm)).toHaveLength(1);
    await servedBy(berth, url, await fullPool(berth));
    const client = new RegistryClient(url);
    expect((await client.putManifest('one', 'v1', await client.makeImage('one'))).status).toBe(201);
    for (let n = 0; n < 2 * WORKERS; n += 1) {
      const pulled = await client.fetch('/v2/one/manifests/v1', { headers: { Connection: 'close' } });
      expect(pulled.status).toBe(200);
      await pulled.arrayBuffer();
    }
  });

  it('are replaced when they are killed, and their uploads go on at once', async () => {
    const environment = { ...over(), UPLOAD_CHECKPOINT_BYTES: String(MIB) };
    const berth = bench.start(environment);
    const url = await berth.url();
    const before = await fullPool(berth);
    const whole = patternBytes(4 * MIB);
    const upload = await UploadProbe.begin(url, environment.DATA_DIR);
    const patch = upload.patch(url);
    await patch.send(whole.subarray(0, 3 * MIB + 4_321));
    const told = await upload.durable(url, 2 * MIB);
    const writer = await writerIn(environment.DATA_DIR, before);
    process.kill(writer, 'SIGKILL');
    expect(await patch.status).toBeUndefined();
    const after = await eventually('a new worker', async () => {
      const workers = await fullPool(berth);
      return workers.includes(writer) ? undefined : workers;
    });
    expect(after.filter((pid) => before.includes(pid))).toHaveLength(WORKERS - 1);
    const offset = await upload.offset(url);
    expect(offset).toBeGreaterThanOrEqual(told);
    expect(await upload.append(url, offset, whole.subarray(offset))).toBe(202);
    // In place: whoever takes it from a writer that may still be there begins a file of its own.
    expect(await readdir(join(environment.DATA_DIR, 'storage/uploads'))).toHaveLength(1);
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
    await servedBy(berth, url, after);
  });
});

onLinux('workers', () => {
  it('all end on Ctrl-C', async () => {
    const environment = settings();
    const berth = bench.start(environment);
    const url = await berth.url();
    const workers = await fullPool(berth);
    berth.signalGroup('SIGINT');
    expect(await berth.ended()).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(workers.filter(isAlive)).toEqual([]);
    expect(await isListening(url)).toBe(false);
    await expectPostgresGone(environment.DATA_DIR, 0);
  });

  it('keep what had arrived when the stop came', async () => {
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
    expect([undefined, 503]).toContain(await patch.status);
    const next = await bench.start(environment).url();
    expect(await upload.offset(next)).toBe(MIB + 99);
    expect(await upload.finish(next, whole)).toBe(digestOf(whole));
  });

  it('told to end one by one finish what they do, and are replaced', async () => {
    const environment = settings({ SHUTDOWN_GRACE_SECONDS: '60' });
    const berth = bench.start(environment);
    const url = await berth.url();
    const before = await fullPool(berth);
    const whole = patternBytes(MIB);
    const upload = await UploadProbe.begin(url, environment.DATA_DIR);
    const patch = upload.patch(url);
    await patch.send(whole.subarray(0, 1000));
    const writer = await writerIn(environment.DATA_DIR, before);
    for (const pid of before) process.kill(pid, 'SIGTERM');
    // The idle one goes at once, the other one when it has answered.
    await eventually('the idle one to end', () => !before.every(isAlive) || undefined);
    expect(isAlive(writer)).toBe(true);
    await patch.send(whole.subarray(1000));
    patch.end();
    expect(await patch.status).toBe(202);
    await eventually('the writer to end', () => !isAlive(writer) || undefined);
    const after = await fullPool(berth);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    await servedBy(berth, url, after);
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
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

  it('that are killed under load break what they were answering, leave nobody waiting, and are replaced', async () => {
    const berth = bench.start(settings({ LOG_LEVEL: 'warn' }));
    const url = await berth.url();
    const before = await fullPool(berth);
    const outcomes = new Map<string, number>();
    let replaced = false;
    const clients = Array.from({ length: 16 }, async () => {
      while (!replaced) {
        // Each on a connection of its own: one may be on its way to the worker at that moment.
        const outcome = await fetch(`${url}/v2/`, {
          headers: { Connection: 'close' },
          signal: AbortSignal.timeout(20_000),
        }).then(
          async (response) => response.text().then(() => String(response.status)),
          (error: unknown) => (String(error).startsWith('TimeoutError') ? 'left waiting' : 'broken'),
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

  it('end in order when what Node tells their primary meets one that was just killed', async () => {
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

  it('end by themselves when their primary is killed, with all that had arrived; the next start goes on', async () => {
    const environment = settings({ UPLOAD_CHECKPOINT_BYTES: String(64 * MIB) });
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
    await eventually('the other one to end', () => orphans.filter(isAlive).length === 1 || undefined);
    // Would it not wait, it would take the database away from the writer.
    await next.printed(/Waiting for workers that an earlier Berth left running/, 30_000);
    thaw();
    const nextUrl = await next.url();
    expect(orphans.filter(isAlive)).toEqual([]);
    expect([undefined, 503]).toContain(await patch.status);
    expect(await upload.offset(nextUrl)).toBe(2 * MIB + 777);
    expect(await upload.finish(nextUrl, whole)).toBe(digestOf(whole));
  });
});

describe('workers that can not be', () => {
  async function refusal(environment: Record<string, string>): Promise<string> {
    const { code, stdout, stderr } = await bench.start(environment).ended(60_000);
    expect({ code, banner: stdout.includes('Berth ') }).toEqual({ code: 1, banner: false });
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

  it('a port in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const environment = settings({ PORT: String(port) });
    expect(await refusal(environment)).toBe(
      `Address 127.0.0.1:${port} (HOST and PORT) is in use by another process: stop it, or set PORT to a free port.`,
    );
    server.close();
    await expectPostgresGone(environment.DATA_DIR, 0);
  });

  it('a storage directory below a file', async () => {
    const root = join(await bench.write('file', ''), 'blobs');
    expect(await refusal(settings({ STORAGE_FILESYSTEM_ROOT: root }))).toMatch(
      /^The storage can't be used: .+ is not a directory/,
    );
  });

  it('workers that die before they serve', async () => {
    // Only a worker has somebody to send to.
    const program = 'if(process.send)process.exit(7)';
    const environment = settings({ NODE_OPTIONS: `--import=data:text/javascript,${program}` });
    expect(await refusal(environment)).toBe(
      '5 workers in a row ended before they served, the last one with exit code 7: see their log.',
    );
    await expectPostgresGone(environment.DATA_DIR, 0);
  });
});
