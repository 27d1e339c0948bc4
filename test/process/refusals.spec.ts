import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expectPostgresGone, ProcessBench } from '../support/process-bench.js';
import { createTestDatabase, type TestDatabase } from '../support/test-postgres.js';

const SECRET = 'hunter2';

let bench: ProcessBench;
let database: TestDatabase;
const servers: Server[] = [];
beforeAll(async () => {
  bench = await ProcessBench.open();
  database = await createTestDatabase();
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await bench.clear();
});
afterAll(async () => {
  await bench.dispose();
  await database.drop();
});

/** Starts a Berth that can't start, and answers its one sentence. */
async function refusal(environment: Record<string, string>, openFiles?: number): Promise<string> {
  const dataDir = environment['DATA_DIR'] ?? bench.newDataDir();
  const { code, stdout, stderr } = await bench
    .start({ DATA_DIR: dataDir, ...environment }, { openFiles })
    .ended(60_000);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^[A-Z/][^\n]+\.\n$/);
  expect(stderr).not.toContain(SECRET);
  await expectPostgresGone(dataDir);
  return stderr.trimEnd();
}

/** A port that somebody listens on. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

describe('a start that can not be ends with one sentence, exit code 1 and nothing left running:', () => {
  it.each([
    ['PORT', 'http', 'PORT – expected a port number from 0 to 65535'],
    ['PORT', '70000', 'PORT – expected a port number'],
    ['STORAGE_DRIVER', 'floppy', 'STORAGE_DRIVER – expected one of filesystem, memory'],
    ['DATABASE_URL', `mysql://u:${SECRET}@127.0.0.1/db`, 'DATABASE_URL – expected postgres://'],
    ['DATABASE_URL', `postgres://u:${SECRET}@ho st/db`, "DATABASE_URL can't be parsed"],
    ['DATABASE_URL', `postgres://u:${SECRET}%@127.0.0.1/db`, "DATABASE_URL can't be parsed"],
    ['HOST', '0.0.0.0', "HOST isn't a loopback address and there is no access control: set ACCESS_MODE=open"],
    ['HOST', '::', "HOST isn't a loopback address"],
    ['LOG_LEVEL', 'loud', 'LOG_LEVEL – expected one of'],
  ])('%s=%s', async (name, value, sentence) => {
    expect(await refusal({ [name]: value })).toContain(sentence);
  });

  it('an address of another machine', async () => {
    const settings = { HOST: '192.0.2.1', ACCESS_MODE: 'open', DATABASE_URL: database.url };
    expect(await refusal(settings)).toBe('HOST is not an address of this machine.');
  });

  it('a limit of open files with which the program can not be loaded', async () => {
    expect(await refusal({}, 128)).toBe(
      'A process may have 128 files open here (ulimit -n): raise the limit to 1024 or more.',
    );
  });

  it('a port in use', async () => {
    const port = await takenPort();
    expect(await refusal({ PORT: String(port) })).toBe(
      'Another process listens on the address of HOST and PORT: stop it, or set PORT to a free one.',
    );
  });

  it('a data directory below a file', async () => {
    const dataDir = join(await bench.write('file', ''), 'data');
    expect(await refusal({ DATA_DIR: dataDir })).toMatch(/^DATA_DIR \(.+\) can't be written \(ENOTDIR/);
  });

  it('a data directory that nobody may create', async () => {
    const dataDir = process.platform === 'linux' ? '/sys/berth' : '/dev/fd/berth';
    expect(await refusal({ DATA_DIR: dataDir })).toMatch(/^DATA_DIR \(.+\) can't be written/);
  });

  it('a storage directory below a file', async () => {
    const root = join(await bench.write('file', ''), 'blobs');
    const sentence = await refusal({ STORAGE_FILESYSTEM_ROOT: root });
    expect(sentence).toMatch(/^The storage can't be used: .+ is not a directory/);
  });

  it.each(['1', '2'])('a storage that is not the database’s, with WORKERS=%s', async (WORKERS) => {
    const own = await createTestDatabase();
    const settings = { DATABASE_URL: own.url, DATA_DIR: bench.newDataDir(), WORKERS };
    const first = bench.start(settings);
    await first.url();
    first.signal('SIGTERM');
    await first.ended();
    const root = join(bench.newDataDir(), 'unmounted');
    await mkdir(root, { recursive: true });
    const sentence = await refusal({ ...settings, STORAGE_FILESYSTEM_ROOT: root });
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

  it('a data directory whose place for Postgres holds something else', async () => {
    const dataDir = bench.newDataDir();
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await bench.write(`${dataDir.slice(bench.scratch.length + 1)}/postgres/thesis.txt`, 'precious');
    expect(await refusal({ DATA_DIR: dataDir })).toContain('holds files but no PostgreSQL cluster');
  });

  it('a data directory that another Berth serves from', async () => {
    const dataDir = bench.newDataDir();
    const first = bench.start({ DATA_DIR: dataDir });
    const url = await first.url();
    const { code, stdout, stderr } = await bench.start({ DATA_DIR: dataDir }).ended();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `DATA_DIR (${dataDir}) is in use by another Berth (pid ${first.pid}): stop that one, or give this one a DATA_DIR of its own.\n`,
    );
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
  });
});

describe('a database that can not be used ends with one sentence without its password:', () => {
  const withSecret = (path: string) =>
    database.url.replace(/^postgres:\/\/([^@]+)@/, `postgres://$1:${SECRET}@`) + path;

  it('nobody listens', async () => {
    const port = await takenPort();
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await refusal({ DATABASE_URL: `postgres://u:${SECRET}@127.0.0.1:${port}/db` })).toBe(
      `Can't use the database of DATABASE_URL: connect ECONNREFUSED 127.0.0.1:${port}.`,
    );
  });

  it('there is no such database', async () => {
    expect(await refusal({ DATABASE_URL: withSecret('_not') })).toMatch(
      /^Can't use the database of DATABASE_URL: database "berth_test_\w+_not" does not exist\.$/,
    );
  });

  it('something else than Postgres listens', async () => {
    const port = await takenPort();
    servers[0]?.on('connection', (socket) =>
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n').on('error', () => undefined),
    );
    expect(await refusal({ DATABASE_URL: `postgres://u:${SECRET}@127.0.0.1:${port}/db` })).toMatch(
      /^Can't use the database of DATABASE_URL: /,
    );
  });

  it('its storage has no place', async () => {
    const root = join(await bench.write('file', ''), 'blobs');
    const sentence = await refusal({ DATABASE_URL: withSecret(''), STORAGE_FILESYSTEM_ROOT: root });
    expect(sentence).toMatch(/^The storage can't be used: /);
  });
});
