import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readTerminal } from '../support/bad-outputs.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { until } from '../support/until.js';
import { WORKER_SETTINGS } from '../support/worker-pool.js';

const bench = useProcessBench();

/** The status of a request for what only an admin may see. */
async function statusOf(url: string, name: string, password: string): Promise<number> {
  const credentials = Buffer.from(`${name}:${password}`).toString('base64');
  const headers = { Authorization: `Basic ${credentials}`, Connection: 'close' };
  return (await fetch(`${url}/api/v1/overview`, { headers })).status;
}

describe('replicas that start at once on an empty database with access control', () => {
  const database = useTestDatabase();

  it('make one admin, one of them with workers; its password is in a file and not in a log', async () => {
    const storage = `${bench.newDataDir()}/storage`;
    const settings = { ACCESS_MODE: 'token', DATABASE_URL: database.url, STORAGE_FILESYSTEM_ROOT: storage };
    const dataDirs = [bench.newDataDir(), bench.newDataDir()];
    const berths = dataDirs.map((DATA_DIR, index) =>
      bench.start({ ...settings, ...(index === 0 ? WORKER_SETTINGS : {}), DATA_DIR }),
    );
    const urls = await Promise.all(berths.map((berth) => berth.url()));
    const files = dataDirs.map((dataDir) => join(dataDir, 'initial-admin-password'));
    const made = files.filter((file) => existsSync(file));
    expect(made).toHaveLength(1);
    const [file = ''] = made;
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const password = readFileSync(file, 'utf8').trimEnd();

    const maker = berths[files.indexOf(file)];
    expect(maker?.log(/^the password of the first admin, admin, is in /)).toHaveLength(1);
    expect(maker?.log(/^started: /)).toMatchObject([{ admin: 'admin', adminPasswordFile: file }]);
    for (const url of urls) {
      // Each connection may reach another worker.
      for (let n = 0; n < 4; n += 1) expect(await statusOf(url, 'admin', password)).toBe(200);
      expect(await statusOf(url, 'admin', 'another password')).toBe(401);
      expect((await fetch(`${url}/v2/`)).status).toBe(401);
    }
    for (const berth of berths) expect(berth.stdout).not.toContain(password);
  });
});

// macOS has no /dev/ptmx that Node could read.
(process.platform === 'linux' ? describe : describe.skip)('a first start on a terminal', () => {
  const database = useTestDatabase();

  it('shows the password of the admin once, and leaves no file with it', async () => {
    const terminal = readTerminal();
    const dataDir = bench.newDataDir();
    try {
      const settings = { ACCESS_MODE: 'token', DATABASE_URL: database.url, DATA_DIR: dataDir };
      bench.start(settings, { output: terminal.fd });
      await until('the banner', () => Promise.resolve(terminal.text().includes('/my-image && docker push')));
      const [, url = ''] = / {2}registry +(http:\S+)\/v2\//.exec(terminal.text()) ?? [];
      const [, password = ''] = /sign in as admin \/ (\S+) /.exec(terminal.text()) ?? [];
      expect(password).toMatch(/^(\w{5}-){4}\w{5}$/);
      expect(await statusOf(url, 'admin', password)).toBe(200);
      await until('no file', () => Promise.resolve(!existsSync(join(dataDir, 'initial-admin-password'))));
    } finally {
      terminal.close();
    }
  });
});
