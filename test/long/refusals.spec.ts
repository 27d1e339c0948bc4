import { describe, expect, it } from '@jest/globals';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { refusal, SECRET } from '../support/refused-start.js';
import { useOtherServers, useProcessBench, useTestDatabase } from '../support/set-up.js';
import { createMigratedDatabase, createTestDatabase } from '../support/test-postgres.js';

const bench = useProcessBench();
const database = useTestDatabase();
const servers = useOtherServers();

describe('a start that fails ends with one sentence, exit code 1 and no process left:', () => {
  it.each([
    ['STORAGE_DRIVER', 'floppy', 'STORAGE_DRIVER – expected one of filesystem, memory'],
    ['ADMIN_PASSWORD', SECRET, 'ADMIN_PASSWORD – expected 12 to 256 bytes without control characters'],
    ['HOST', '256.0.0.1', 'HOST – expected an IP address or a host name'],
    [
      'STORAGE_DRVER',
      'memory',
      'Berth has no setting STORAGE_DRVER (expected STORAGE_DRIVER): correct the name',
    ],
  ])('%s=%s', async (name, value, sentence) => {
    expect(await refusal(bench, { [name]: value })).toContain(sentence);
  });

  it('a line of .env that is not a setting', async () => {
    await bench.write('.env', `PORT=0\nDATABASE_URL postgres://u:${SECRET}@127.0.0.1/db\n`);
    expect(await refusal(bench, {}).finally(() => bench.remove('.env'))).toMatch(/not a setting: line 2\./);
  });

  it('an address of another machine', async () => {
    const settings = { HOST: '192.0.2.1', ACCESS_MODE: 'open', DATABASE_URL: database.url };
    expect(await refusal(bench, settings)).toBe(
      'HOST (192.0.2.1) is not an address of this machine: set HOST to one, or to 0.0.0.0 for all of them.',
    );
  });

  it('a database whose schema a newer version has changed', async () => {
    const newer = await createMigratedDatabase();
    const client = new pg.Client(newer.connection);
    try {
      await client.connect();
      await client.query(`INSERT INTO migrations (timestamp, name) VALUES (0, 'Newer9000000000001')`);
      await client.end();
      expect(await refusal(bench, { DATABASE_URL: newer.url })).toBe(
        "Can't use the database of DATABASE_URL: a newer version of Berth has changed its schema (migration " +
          'Newer9000000000001), and this one does not know it: start the newer version, or restore the backup ' +
          'from before the upgrade; if the changelog of the newer version says that this one works with its ' +
          'schema, start with DATABASE_ACCEPT_NEWER=Newer9000000000001.',
      );
      const accepting = { DATABASE_URL: newer.url, DATABASE_ACCEPT_NEWER: 'Newer9000000000001' };
      const response = await fetch(`${await bench.start(accepting).url()}/health/ready`);
      expect(await response.json()).toMatchObject({ status: 'ok', checks: { migrations: 'newer' } });
    } finally {
      await newer.drop();
    }
  });

  it('a data directory below a file', async () => {
    const dataDir = join(await bench.write('file', ''), 'data');
    expect(await refusal(bench, { DATA_DIR: dataDir })).toMatch(/^DATA_DIR \(.+\) is not writable \(ENOTDIR/);
  });

  it('a data directory that cannot be created', async () => {
    const dataDir = process.platform === 'linux' ? '/sys/berth' : '/dev/fd/berth';
    expect(await refusal(bench, { DATA_DIR: dataDir })).toMatch(/^DATA_DIR \(.+\) is not writable/);
  });

  it('a storage directory below a file', async () => {
    const root = join(await bench.write('file', ''), 'blobs');
    const sentence = await refusal(bench, { STORAGE_FILESYSTEM_ROOT: root });
    expect(sentence).toMatch(/^The storage can't be used: .+ is not a directory/);
  });

  it('a storage directory below a file, with an external database', async () => {
    const root = join(await bench.write('file', ''), 'blobs');
    const url = database.url.replace(/^postgres:\/\/([^@]+)@/, `postgres://$1:${SECRET}@`);
    const sentence = await refusal(bench, { DATABASE_URL: url, STORAGE_FILESYSTEM_ROOT: root });
    expect(sentence).toMatch(/^The storage can't be used: /);
  });

  it.each(['1', '2'])('a storage of another database, with WORKERS=%s', async (WORKERS) => {
    const own = await createTestDatabase();
    const settings = { DATABASE_URL: own.url, DATA_DIR: bench.newDataDir(), WORKERS };
    const first = bench.start(settings);
    await first.url();
    first.signal('SIGTERM');
    await first.ended();
    const root = join(bench.newDataDir(), 'unmounted');
    await mkdir(root, { recursive: true });
    const sentence = await refusal(bench, { ...settings, STORAGE_FILESYSTEM_ROOT: root });
    expect(sentence).toMatch(
      /^The storage \(.+unmounted\) doesn't belong to the database .+ STORAGE_ADOPT=[0-9a-f-]{36}\.$/,
    );
    expect(sentence).not.toContain(SECRET);
    expect(await readdir(root)).toEqual([]);
    const value = /STORAGE_ADOPT=(.+)\.$/.exec(sentence)?.[1] ?? '';
    const adopting = bench.start({ ...settings, STORAGE_FILESYSTEM_ROOT: root, STORAGE_ADOPT: value });
    await adopting.url();
    expect(await readdir(root)).toContain('berth-identity');
    await adopting.kill();
    await own.drop();
  });

  it('a data directory whose postgres folder holds other files', async () => {
    const dataDir = bench.newDataDir();
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await bench.write(`${dataDir.slice(bench.scratch.length + 1)}/postgres/thesis.txt`, 'precious');
    expect(await refusal(bench, { DATA_DIR: dataDir })).toContain('holds files but no PostgreSQL cluster');
  });
});

describe('an unusable database ends the start with one sentence, without the password:', () => {
  it('no server listens', async () => {
    const port = await servers.freePort();
    const settings = {
      DATABASE_URL: `postgres://u:${SECRET}@127.0.0.1:${port}/db`,
      DATABASE_WAIT_SECONDS: '0',
    };
    expect(await refusal(bench, settings)).toBe(
      `Can't use the database of DATABASE_URL: connect ECONNREFUSED 127.0.0.1:${port}.`,
    );
  });

  it('another kind of server listens', async () => {
    const { server, port } = await servers.listen();
    server.on('connection', (socket) =>
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n').on('error', () => undefined),
    );
    const settings = {
      DATABASE_URL: `postgres://u:${SECRET}@127.0.0.1:${port}/db`,
      DATABASE_WAIT_SECONDS: '0',
    };
    expect(await refusal(bench, settings)).toMatch(/^Can't use the database of DATABASE_URL: /);
  });
});
