import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { CLEAN_EXIT, stopped } from '../support/process-bench.js';
import { useProcessBench } from '../support/set-up.js';
import { AdminClient } from '../support/admin-client.js';
import { RegistryClient } from '../support/registry-client.js';

/** One data directory for all tests, which run in this order. */
const bench = useProcessBench({ keepProcesses: true });
let dataDir: string;
beforeAll(() => void (dataDir = bench.newDataDir()));
let image: Awaited<ReturnType<RegistryClient['makeImage']>>;
let digest: string | null;

describe('a start with nothing but a data directory', () => {
  it('serves on loopback and prints its addresses', async () => {
    const first = bench.start({ DATA_DIR: dataDir, LOG_FORMAT: 'pretty' });
    const url = await first.url();
    const lines = first.stdout.trimEnd().split('\n');
    expect(lines).toEqual([
      expect.stringMatching(/^Berth \d+\.\d+\.\d+/),
      expect.stringMatching(/^ {2}registry {2}http:\/\/127\.0\.0\.1:\d+\/v2\/$/),
      `  storage   filesystem, ${dataDir}/storage`,
      `  database  embedded PostgreSQL in ${dataDir}/postgres`,
      `  API docs  ${url}/api/docs`,
      '  access    open, loopback only',
      '',
      expect.stringMatching(
        /^Started in \d+\.\d s as process \d+\. Stop it with Ctrl-C\. To push an image:$/,
      ),
      `  docker tag my-image ${new URL(url).host}/my-image && docker push ${new URL(url).host}/my-image`,
    ]);
    await expect(fetch(`http://[::1]:${new URL(url).port}/v2/`)).rejects.toThrow();
    // Postgres listens on a socket file, not on a port.
    expect(existsSync(join(dataDir, 'postgres/.s.PGSQL.5432'))).toBe(true);

    const client = new RegistryClient(url);
    const { bavail, bsize } = await statfs(dataDir);
    const { database } = await new AdminClient(client).get<{ database: { freeBytes: number } }>('/overview');
    expect(database.freeBytes).toBeGreaterThan((bavail * bsize) / 2);
    expect(database.freeBytes).toBeLessThan(bavail * bsize * 2);
    image = await client.makeImage('kept', ['one layer', 'another layer']);
    const pushed = await client.putManifest('kept', 'v1', image);
    expect(pushed.status).toBe(201);
    digest = pushed.headers.get('docker-content-digest');
    first.signal('SIGTERM');
    expect(await first.ended()).toMatchObject(CLEAN_EXIT);
  });
});

describe('a second start, with settings', () => {
  let berth: BerthProcess;
  let url: string;

  beforeAll(async () => {
    await bench.write('.env', `DATA_DIR=./${basename(dataDir)}\nPORT=1\n`);
    const others = { PGSSLMODE: 'require', PGHOST: 'db.example', PGUSER: 'other', PGDATABASE: 'other' };
    berth = bench.start({ ...others, STORAGE_ROOT: '/x' });
    url = await berth.url();
    await bench.remove('.env');
  });

  it('keeps the images', async () => {
    const client = new RegistryClient(url);
    const manifest = await client.fetch('/v2/kept/manifests/v1');
    expect(manifest.headers.get('docker-content-digest')).toBe(digest);
    expect(await manifest.json()).toEqual(image);
    const layer = await client.fetch(`/v2/kept/blobs/${image.layers[1]?.digest ?? ''}`);
    expect(await layer.text()).toBe('another layer');
  });

  it('says in one line of JSON what a banner says', () => {
    const lines = berth.stdout.trimEnd().split('\n');
    expect(berth.log(/^/)).toHaveLength(lines.length);
    expect(berth.log(/^started: /)).toEqual([
      expect.objectContaining({
        msg: `started: ready at ${url}/v2/`,
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        url,
        storage: 'filesystem',
        storageLocation: `${dataDir}/storage`,
        database: `embedded PostgreSQL in ${dataDir}/postgres`,
        access: 'loopback',
        workers: 1,
        durationMs: expect.any(Number),
      }),
    ]);
  });

  it('reads .env, takes DATA_DIR relative to the working directory, and ignores PG* variables', async () => {
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect(berth.stdout).toContain(`${dataDir}/storage`);
  });

  it('warns in the log of variables that begin like settings', () => {
    expect(berth.stdout).toContain(
      'Variables that are no settings of Berth and have no effect: STORAGE_ROOT.',
    );
  });

  it('refuses its data directory to a second Berth', async () => {
    const { code, stdout, stderr } = await bench.start({ DATA_DIR: dataDir }).ended();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `DATA_DIR (${dataDir}) is in use by another Berth (pid ${berth.pid}): ` +
        'stop it, or set another DATA_DIR for this one.\n',
    );
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
  });

  it('refuses a restart by SIGHUP with a warning, and continues', async () => {
    berth.signal('SIGHUP');
    await berth.printed(/SIGHUP: nothing was restarted, .+ WORKERS=2/, 30_000);
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
  });

  it('ends cleanly on Ctrl-C below npm, which sends signals more than once, with idle connections', async () => {
    await Promise.all(Array.from({ length: 5 }, () => fetch(`${url}/v2/`)));
    const silent = connect(Number(new URL(url).port), '127.0.0.1');
    await once(silent, 'connect');
    const signals = () => {
      berth.signalGroup('SIGINT');
      for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) berth.signal(signal);
    };
    // Node prints a warning to stderr for a V8 option that `main.ts` sets and this V8 lacks.
    expect(await stopped(berth, dataDir, signals)).toMatchObject(CLEAN_EXIT);
    // All are pending at once: the kernel may deliver them in any order, to any thread.
    const stopping = expect.stringMatching(/^stopping \(SIG(INT|TERM)\): nothing to wait for$/);
    expect(berth.log(/^stop/)).toMatchObject([
      { msg: stopping, stop: { requests: 0, uploads: 0 } },
      { msg: expect.stringMatching(/^stopped in /), stop: { exitCode: 0, durationMs: expect.any(Number) } },
    ]);
    silent.destroy();
  });
});
