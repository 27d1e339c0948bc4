import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ProcessBench } from '../support/process-bench.js';
import { RegistryClient } from '../support/registry-client.js';

let bench: ProcessBench;
beforeAll(async () => void (bench = await ProcessBench.open()));
afterEach(() => bench.clear());
afterAll(() => bench.dispose());

describe('a start with nothing but a data directory', () => {
  it('serves, and says where what is', async () => {
    const dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir });
    const url = await berth.url();
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
    expect(berth.stdout.split('\n{', 1)[0]?.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^Berth \d+\.\d+\.\d+/),
      expect.stringMatching(/^ {2}registry {2}http:\/\/127\.0\.0\.1:\d+\/v2\/$/),
      `  storage   filesystem, ${dataDir}/storage`,
      `  database  embedded PostgreSQL in ${dataDir}/postgres`,
      `  API docs  ${url}/api/docs`,
      '  access    open, loopback only',
    ]);
  });

  it('listens on loopback alone and opens no port for Postgres', async () => {
    const dataDir = bench.newDataDir();
    const { port } = new URL(await bench.start({ DATA_DIR: dataDir }).url());
    await expect(fetch(`http://[::1]:${port}/v2/`)).rejects.toThrow();
    expect(existsSync(join(dataDir, 'postgres/.s.PGSQL.5432'))).toBe(true);
  });

  it('has nothing to do with the settings of another Postgres in its environment', async () => {
    const others = { PGSSLMODE: 'require', PGHOST: 'db.example', PGUSER: 'somebody', PGDATABASE: 'else' };
    const url = await bench.start({ DATA_DIR: bench.newDataDir(), ...others }).url();
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  });

  it('takes DATA_DIR relative to the working directory, and settings from a .env file there', async () => {
    const name = bench.newDataDir().slice(bench.scratch.length + 1);
    await bench.write('.env', `DATA_DIR=./${name}\nPORT=1\n`);
    const berth = bench.start({});
    await berth.url();
    await bench.remove('.env');
    expect(berth.stdout).toContain(`${bench.scratch}/${name}/storage`);
  });
});

describe('a second start on the same data', () => {
  it('has the image that was pushed, every time', async () => {
    const dataDir = bench.newDataDir();
    const first = bench.start({ DATA_DIR: dataDir });
    const client = new RegistryClient(await first.url());
    const image = await client.makeImage('kept', ['one layer', 'another layer']);
    const pushed = await client.putManifest('kept', 'v1', image);
    expect(pushed.status).toBe(201);
    first.signal('SIGTERM');
    await first.ended();
    for (const round of [1, 2]) {
      const berth = bench.start({ DATA_DIR: dataDir });
      const again = new RegistryClient(await berth.url());
      const manifest = await again.fetch('/v2/kept/manifests/v1');
      expect(manifest.headers.get('docker-content-digest')).toBe(pushed.headers.get('docker-content-digest'));
      expect(await manifest.json()).toEqual(image);
      const layer = await again.fetch(`/v2/kept/blobs/${image.layers[1]?.digest ?? ''}`);
      expect(await layer.text()).toBe('another layer');
      berth.signal('SIGTERM');
      // A V8 that doesn't know an option that `main.ts` sets would say so.
      expect([round, await berth.ended()]).toMatchObject([round, { code: 0, stderr: '' }]);
    }
  });

  it('has nothing of blobs that lay in memory', async () => {
    const settings = { DATA_DIR: bench.newDataDir(), STORAGE_DRIVER: 'memory' };
    const first = bench.start(settings);
    const client = new RegistryClient(await first.url());
    await client.putManifest('gone', 'v1', await client.makeImage('gone'));
    first.signal('SIGTERM');
    await first.ended();
    const again = new RegistryClient(await bench.start(settings).url());
    expect((await again.fetch('/v2/gone/manifests/v1')).status).toBe(404);
  });
});
