import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { claimDataDirectory, type DataDirectoryClaim } from '../../src/boot/data-directory.js';
import { embeddedConnectionOptions } from '../../src/embedded-postgres/connection-options.js';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/embedded-postgres/embedded-postgres.js';
import { findPostgresPackage, type PostgresPackage } from '../../src/embedded-postgres/postgres-package.js';
import { compileSources } from '../support/compiled-sources.js';
import { withSmallDisk } from '../support/small-disk.js';
import { EmbeddedChild, type ChildOptions } from '../support/embedded-child.js';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const MIB = 1024 * 1024;
if (!isRoot) process.stderr.write('Skipped: the tests of running as root, since this user is not root.\n');
const asRoot = isRoot ? it : it.skip;

/** For what another user runs: below a home that only root can enter, it could not even read the program. */
const asAnotherUser = isRoot && anotherUserCanReadTheCheckout() ? it : it.skip;
if (isRoot && asAnotherUser !== it) {
  process.stderr.write('Skipped: what an ordinary user starts, since others can not reach this checkout.\n');
}

function anotherUserCanReadTheCheckout(): boolean {
  const file = join(import.meta.dirname, '../../node_modules/koffi/package.json');
  return (
    spawnSync(process.execPath, ['-e', 'fs.accessSync(process.argv[1])', file], { uid: NOBODY, cwd: '/' })
      .status === 0
  );
}

let scratch = '';
let compiled = '';
const servers: EmbeddedPostgres[] = [];
const claims: DataDirectoryClaim[] = [];
const children: EmbeddedChild[] = [];

beforeAll(async () => {
  compiled = await compileSources([
    'src/boot/data-directory.ts',
    'src/common',
    'src/config',
    'src/embedded-postgres',
    'test/support/embedded-process.ts',
  ]);
  scratch = await mkdtemp(join(tmpdir(), 'berth-embedded-'));
  await chmod(scratch, 0o755);
});

afterEach(async () => {
  for (const child of children.splice(0)) await child.kill();
  for (const claim of claims.splice(0)) claim.release();
  for (const server of servers.splice(0)) await server.stop();
  for (const directory of await readdir(scratch)) stopLeftover(join(scratch, directory));
});

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
  await rm(compiled, { recursive: true, force: true });
});

/** Removes what a test left running, by the pid file of its own cluster. */
function stopLeftover(dataDir: string): void {
  const pid = postmasterPid(dataDir);
  if (pid === undefined || !commandLine(pid).includes(dataDir)) return;
  process.kill(pid, 'SIGQUIT');
}

function postmasterPid(dataDir: string): number | undefined {
  const file = join(dataDir, 'postgres/postmaster.pid');
  return existsSync(file) ? parseInt(readFileSync(file, 'utf8'), 10) : undefined;
}

function commandLine(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

let counter = 0;
function newDataDir(): string {
  counter += 1;
  return join(scratch, `data-${counter}`);
}

async function start(dataDir: string, binaries?: PostgresPackage): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    dataDir: join(dataDir, 'postgres'),
    log: () => undefined,
    ...(binaries && { binaries }),
  });
  servers.push(server);
  return server;
}

function spawnChild(options: ChildOptions): EmbeddedChild {
  const child = new EmbeddedChild(compiled, options);
  children.push(child);
  return child;
}

async function query(dataDir: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...embeddedConnectionOptions(join(dataDir, 'postgres')) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = (await client.query<Record<string, unknown>>(sql)) as
      pg.QueryResult<Record<string, unknown>> | pg.QueryResult<Record<string, unknown>>[];
    return Array.isArray(result) ? [] : result.rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

let stopped: string | undefined;

/** A data directory to be copied, which takes less time than making a cluster. */
async function stoppedCluster(): Promise<string> {
  if (stopped === undefined) {
    stopped = newDataDir();
    await (await start(stopped)).stop();
  }
  return stopped;
}

const KEEP = `CREATE TABLE kept (x int); INSERT INTO kept VALUES (42)`;
const kept = (dataDir: string) => query(dataDir, 'SELECT x FROM kept');

describe('the embedded Postgres', () => {
  it('creates its cluster, listens on no port and keeps what was written over a restart', async () => {
    const dataDir = newDataDir();
    const first = await start(dataDir);
    expect(first.connection).toMatchObject({ database: 'berth', user: 'berth' });
    await query(dataDir, KEEP);
    const [settings] = await query(
      dataDir,
      `SELECT current_setting('listen_addresses') AS tcp, current_setting('fsync') AS fsync,
         current_setting('synchronous_commit') AS commit, current_setting('data_checksums') AS checksums`,
    );
    expect(settings).toEqual({ tcp: '', fsync: 'on', commit: 'on', checksums: 'on' });
    await first.stop();
    await expect(kept(dataDir)).rejects.toThrow();
    await start(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
  });

  it('stops while sessions are open, and stopping twice is stopping once', async () => {
    const dataDir = newDataDir();
    const server = await start(dataDir);
    const client = new pg.Client({ ...server.connection });
    client.on('error', () => undefined);
    await client.connect();
    await Promise.all([server.stop(), server.stop()]);
    expect(postmasterPid(dataDir)).toBeUndefined();
    await client.end().catch(() => undefined);
  });

  it('says when it dies', async () => {
    const dataDir = newDataDir();
    const server = await start(dataDir);
    process.kill(postmasterPid(dataDir)!, 'SIGKILL');
    expect(await server.died).toBe('PostgreSQL ended unexpectedly: signal SIGKILL.');
  });

  it('works below a path that is too long for a socket', async () => {
    const dataDir = join(newDataDir(), 'deep/'.repeat(40));
    await start(dataDir);
    await query(dataDir, KEEP);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
  });

  it('works below a path with spaces, quotes and letters beyond ASCII', async () => {
    const dataDir = `${newDataDir()} it's "data" für alle`;
    await (await start(dataDir)).stop();
    await start(dataDir);
    await query(dataDir, KEEP);
  });

  it('refuses a directory of other things', async () => {
    const dataDir = newDataDir();
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await writeFile(join(dataDir, 'postgres/thesis.txt'), 'precious');
    await expect(start(dataDir)).rejects.toThrow(/holds files but no PostgreSQL cluster/);
    expect(await readdir(join(dataDir, 'postgres'))).toEqual(['thesis.txt']);
  });

  describe('says why Postgres refuses:', () => {
    it.each<[string, (cluster: string) => Promise<void>, RegExp]>([
      [
        'a cluster of another version',
        (cluster) => writeFile(join(cluster, 'PG_VERSION'), '17\n'),
        /^PostgreSQL didn't start: FATAL: database files are incompatible.*version 17/,
      ],
      [
        'a control file that is not one',
        (cluster) => writeFile(join(cluster, 'global/pg_control'), Buffer.alloc(8192, 7)),
        /^PostgreSQL didn't start: FATAL: database files are incompatible with server DETAIL: .*PG_CONTROL_VERSION/,
      ],
      [
        'a control file that is too short',
        (cluster) => truncate(join(cluster, 'global/pg_control'), 10),
        /^PostgreSQL didn't start: PANIC: could not read file "global\/pg_control": read 10 of \d+/,
      ],
      [
        'no control file',
        (cluster) => rm(join(cluster, 'global/pg_control')),
        /^PostgreSQL didn't start: postgres: could not find the database system/,
      ],
      [
        'no write-ahead log',
        async (cluster) => {
          for (const name of await readdir(join(cluster, 'pg_wal'))) {
            if (/^[0-9A-F]{24}$/.test(name)) await rm(join(cluster, 'pg_wal', name));
          }
        },
        /^PostgreSQL didn't start: PANIC: could not locate a valid checkpoint record/,
      ],
      [
        'a directory that others may enter',
        (cluster) => chmod(cluster, 0o755),
        /^PostgreSQL didn't start: FATAL: data directory .* has invalid permissions DETAIL: Permissions should be/,
      ],
      [
        'a mistake in postgresql.conf',
        (cluster) => appendFile(join(cluster, 'postgresql.conf'), '\nwork_mem = lots\n'),
        /^PostgreSQL didn't start: FATAL: configuration file .*postgresql.conf" contains errors/,
      ],
    ])('%s', async (_, spoil, sentence) => {
      const dataDir = newDataDir();
      execFileSync('cp', ['-a', await stoppedCluster(), dataDir]);
      await spoil(join(dataDir, 'postgres'));
      await expect(start(dataDir)).rejects.toThrow(sentence);
    });
  });

  describe('says why Postgres ended while it started, whatever the connections say:', () => {
    /** Listens, and breaks each connection, until it has said its lines and ends. */
    const program = (lines: readonly string[], end: string) => `#!${process.execPath}
      if (process.argv.includes('--version')) process.exit(0);
      // Closed with unread bytes, a connection is reset.
      require('net').createServer({ pauseOnConnect: true }, (socket) => {
        setTimeout(() => socket.destroy(), 20);
        setTimeout(() => {
          require('fs').writeSync(2, ${JSON.stringify(lines.join('\n'))} + '\\n');
          ${end};
        }, 200);
      }).listen('.s.PGSQL.5432');
    `;
    const noise = Array.from({ length: 100 }, () => 'FATAL:  the database system is in recovery mode');
    const crash = [
      'WARNING:  terminating connection because of crash of another server process',
      'DETAIL:  The postmaster has commanded this server process to roll back the current transaction',
      'HINT:  In a moment you should be able to reconnect to the database and repeat your command.',
    ];

    it.each<[string, readonly string[], string, RegExp]>([
      [
        'a crash in recovery',
        ['PANIC:  it is broken', ...noise, 'LOG:  database system is shut down'],
        'process.exit(1)',
        /^PostgreSQL didn't start: PANIC: it is broken \(exit code 1\)\.$/,
      ],
      [
        'a full disk',
        ['PANIC:  could not write to file "pg_wal/x": No space left on device', ...crash, ...noise],
        'process.exit(1)',
        /^PostgreSQL didn't start: PANIC: could not write .*left on device \(exit code 1\); free some space on the file system of \//,
      ],
      [
        'a process of it that was killed',
        ['LOG:  startup process (PID 7) was terminated by signal 9: Killed', ...noise],
        'process.exit(1)',
        /^PostgreSQL didn't start: LOG: startup process .* signal 9: Killed \(exit code 1\)\.$/,
      ],
      [
        'an abort',
        ['PANIC:  it is broken'],
        'process.abort()',
        /^PostgreSQL didn't start: PANIC: it is broken \(signal SIGABRT\)\.$/,
      ],
      [
        'a kill',
        ['FATAL:  something else, before'],
        "process.kill(process.pid, 'SIGKILL')",
        /^PostgreSQL didn't start: signal SIGKILL\.$/,
      ],
    ])('%s', async (_, lines, end, sentence) => {
      const dataDir = newDataDir();
      await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: 0o700 });
      await writeFile(join(dataDir, 'postgres/PG_VERSION'), '18\n');
      const root = join(dataDir, 'package');
      await mkdir(join(root, 'native/bin'), { recursive: true });
      for (const name of ['initdb', 'postgres']) {
        await writeFile(join(root, 'native/bin', name), program(lines, end), { mode: 0o755 });
      }
      await chmod(dataDir, 0o755);
      await expect(start(dataDir, { root, version: 'fake' })).rejects.toThrow(sentence);
    });
  });

  it('is not kept from starting by a pid file whose process id is something else by now', async () => {
    const dataDir = newDataDir();
    await (await start(dataDir)).stop();
    const bystander = spawn('sleep', ['60']);
    for (const name of ['postmaster.pid', '.s.PGSQL.5432.lock']) {
      await writeFile(
        join(dataDir, 'postgres', name),
        `${bystander.pid}\n${dataDir}/postgres\n1\n5432\n.\n\n`,
      );
    }
    await start(dataDir);
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
    bystander.kill();
  });
});

describe('a kill', () => {
  it('of Berth leaves a Postgres that the next start stops', async () => {
    const dataDir = newDataDir();
    const child = spawnChild({ dataDir });
    await child.ready();
    await query(dataDir, KEEP);
    await child.kill();
    const orphan = postmasterPid(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
    await start(dataDir);
    expect(postmasterPid(dataDir)).not.toBe(orphan);
    expect(commandLine(orphan!)).toBe('');
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
  });

  it('of Berth and Postgres loses nothing', async () => {
    const dataDir = newDataDir();
    const child = spawnChild({ dataDir });
    await child.ready();
    await query(dataDir, KEEP);
    process.kill(postmasterPid(dataDir)!, 'SIGKILL');
    await child.kill();
    await start(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
  });

  it('of Berth while Postgres recovers from the last one loses nothing', async () => {
    const dataDir = newDataDir();
    const first = spawnChild({ dataDir });
    await first.ready();
    await query(
      dataDir,
      `${KEEP}; CREATE TABLE bulk AS SELECT g, repeat('x', 200) FROM generate_series(1, 300000) g`,
    );
    process.kill(postmasterPid(dataDir)!, 'SIGKILL');
    await first.kill();
    const second = spawnChild({ dataDir });
    await second.seen(({ log }) => log?.includes('redo starts') === true);
    await second.kill();
    await start(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
    expect(await query(dataDir, 'SELECT count(*)::int AS n FROM bulk')).toEqual([{ n: 300_000 }]);
  });

  it.each([150, 300, 450, 600, 750, 900, 1050, 1200])(
    'of Berth %i ms into its first start costs nothing',
    async (ms) => {
      const dataDir = newDataDir();
      const child = spawnChild({ dataDir });
      await sleep(ms);
      await child.kill();
      await start(dataDir);
      await query(dataDir, KEEP);
      expect((await readdir(dataDir)).sort()).toEqual(expect.arrayContaining(['postgres', 'postgres.lock']));
      expect(existsSync(join(dataDir, 'postgres.new'))).toBe(false);
    },
  );

  it('with Ctrl-C reaches Berth and not Postgres', async () => {
    const dataDir = newDataDir();
    const child = spawnChild({ dataDir });
    await child.ready();
    child.signalGroup('SIGINT');
    await child.seen(({ interrupted }) => interrupted === true);
    await query(dataDir, KEEP);
    await child.tell('stop');
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  it('is not needed where Berth exits without stopping Postgres', async () => {
    const dataDir = newDataDir();
    const child = spawnChild({ dataDir });
    await child.ready();
    const pid = postmasterPid(dataDir)!;
    await child.tell('exit');
    for (let tries = 0; commandLine(pid) !== '' && tries < 400; tries += 1) await sleep(25);
    expect(commandLine(pid)).toBe('');
  });
});

describe('the claim of DATA_DIR', () => {
  it('is refused to a second Berth, by name and pid, and free again after kill -9', async () => {
    const dataDir = newDataDir();
    const child = spawnChild({ dataDir, claimOnly: true });
    await child.ready();
    await expect(claimDataDirectory(dataDir)).rejects.toThrow(
      `DATA_DIR (${dataDir}) is in use by another Berth (pid ${child.pid})`,
    );
    await child.kill();
    claims.push(await claimDataDirectory(dataDir));
  });

  it('is not held by the Postgres that a killed Berth left behind', async () => {
    const dataDir = newDataDir();
    const child = spawnChild({ dataDir });
    await child.ready();
    await child.kill();
    expect(commandLine(postmasterPid(dataDir)!)).toContain('postgres');
    claims.push(await claimDataDirectory(dataDir));
  });

  it('goes to one of several that start at once', async () => {
    const dataDir = newDataDir();
    const starters = Array.from({ length: 6 }, () => spawnChild({ dataDir, claimOnly: true }));
    const outcomes = await Promise.all(
      starters.map((starter) => starter.seen(({ ready, failed }) => (ready ?? failed) !== undefined)),
    );
    expect(outcomes.filter(({ ready }) => ready)).toHaveLength(1);
  });
});

describe('the binaries', () => {
  /** A copy as `npm ci --ignore-scripts` and a careless archive leave it: no links, no execute bits. */
  async function brokenPackage(parent: string): Promise<PostgresPackage> {
    const { root } = await findPostgresPackage();
    const copy = join(parent, 'package');
    await cp(root, copy, { recursive: true, verbatimSymlinks: true });
    for (const name of await readdir(join(copy, 'native/lib'))) {
      const path = join(copy, 'native/lib', name);
      if ((await lstat(path)).isSymbolicLink()) await rm(path);
    }
    await chmod(join(copy, 'native/bin/postgres'), 0o644);
    await chmod(join(copy, 'native/bin/initdb'), 0o644);
    return { root: copy, version: `test-${process.pid}-${counter}` };
  }

  it('are repaired where the install script did not run', async () => {
    const dataDir = newDataDir();
    await mkdir(dataDir);
    const binaries = await brokenPackage(dataDir);
    await chmod(dataDir, 0o755);
    await start(dataDir, binaries);
    const program = readlinkSync(`/proc/${postmasterPid(dataDir)!}/exe`);
    expect(program).toBe(join(binaries.root, 'native/bin/postgres'));
  });

  asAnotherUser('are copied into DATA_DIR where an ordinary user can not repair them', async () => {
    const owner = newDataDir();
    await mkdir(owner);
    const binaries = await brokenPackage(owner);
    const dataDir = newDataDir();
    execFileSync('install', ['-d', '-m', '0700', '-o', String(NOBODY), dataDir]);
    const child = spawnChild({ dataDir, binaries, uid: NOBODY });
    await child.ready();
    const program = readlinkSync(`/proc/${postmasterPid(dataDir)!}/exe`);
    expect(program).toBe(join(dataDir, `berth-postgres-${binaries.version}`, 'native/bin/postgres'));
    await child.tell('stop');
  });

  asAnotherUser('are copied on a disk with less room than they need, with the reserve file’s', async () => {
    const owner = newDataDir();
    await mkdir(owner);
    const binaries = await brokenPackage(owner);
    const dataDir = newDataDir();
    await withSmallDisk(
      256 * MIB,
      async () => {
        await chown(dataDir, NOBODY, NOBODY);
        await chmod(dataDir, 0o700);
        const reserve = join(dataDir, 'postgres.reserve');
        await writeFile(reserve, Buffer.alloc(96 * MIB));
        await chown(reserve, NOBODY, NOBODY);
        // Of 40 MiB that are left, and 60 that the programs take.
        await writeFile(join(dataDir, 'filler'), Buffer.alloc(120 * MIB));
        const child = spawnChild({ dataDir, binaries, uid: NOBODY });
        await child.ready();
        expect(existsSync(join(dataDir, `berth-postgres-${binaries.version}`))).toBe(true);
        const line = expect.stringContaining('postgres.reserve was deleted so that PostgreSQL can start');
        expect(child.messages).toContainEqual({ log: line });
        await child.tell('stop');
      },
      dataDir,
    );
  });

  asRoot('are copied where the other user can reach them when the checkout is in a closed home', async () => {
    const home = newDataDir();
    await mkdir(home, { mode: 0o700 });
    const binaries = await brokenPackage(home);
    const dataDir = join(home, 'data');
    try {
      await start(dataDir, binaries);
      const program = readlinkSync(`/proc/${postmasterPid(dataDir)!}/exe`);
      expect(program).toMatch(new RegExp(`^/var/(cache|tmp)/berth-postgres-${binaries.version}/native/bin/`));
      expect((await stat(home)).mode & 0o777).toBe(0o700);
    } finally {
      for (const parent of ['/var/cache', '/var/tmp', tmpdir()]) {
        await rm(join(parent, `berth-postgres-${binaries.version}`), { recursive: true, force: true });
      }
    }
  });
});

describe('privacy', () => {
  /** Whether a process of this user could open a connection; says why not. */
  function connectAs(uid: number, dataDir: string): string {
    const socket = join(dataDir, 'postgres/.s.PGSQL.5432');
    const script = `require('net').connect(process.argv[1]).on('error', (e) => console.log(e.code)).on('connect', function () { console.log('connected'); this.destroy(); })`;
    return spawnSync(process.execPath, ['-e', script, socket], { uid, gid: uid, cwd: '/' })
      .stdout.toString()
      .trim();
  }

  it('comes from the directory of the socket, which its owner alone can enter', async () => {
    const dataDir = newDataDir();
    await start(dataDir);
    expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, 'postgres/.s.PGSQL.5432'))).mode & 0o777).toBe(0o700);
  });

  asRoot(
    'as root: Postgres runs as another user, and no other user reaches it, even its own below DATA_DIR',
    async () => {
      const dataDir = newDataDir();
      claims.push(await claimDataDirectory(dataDir));
      await start(dataDir);
      const owner = (await stat(join(dataDir, 'postgres'))).uid;
      expect(owner).not.toBe(0);
      expect((await stat(`/proc/${postmasterPid(dataDir)!}`)).uid).toBe(owner);
      expect(connectAs(0, dataDir)).toBe('connected');
      expect(connectAs(12345, dataDir)).toBe('EACCES');
      // DATA_DIR is root's alone, so that other services of that user stay outside.
      expect(connectAs(owner, dataDir)).toBe('EACCES');
    },
  );

  asRoot('as root: a cluster that root restored is given back to the user of Postgres', async () => {
    const dataDir = newDataDir();
    await (await start(dataDir)).stop();
    execFileSync('chown', ['-R', '0:0', join(dataDir, 'postgres')]);
    await start(dataDir);
    expect((await stat(join(dataDir, 'postgres/base'))).uid).not.toBe(0);
  });

  asAnotherUser('as an ordinary user: everything is that user’s', async () => {
    const dataDir = newDataDir();
    execFileSync('install', ['-d', '-m', '0700', '-o', String(NOBODY), dataDir]);
    const child = spawnChild({ dataDir, uid: NOBODY });
    await child.ready();
    expect((await stat(`/proc/${postmasterPid(dataDir)!}`)).uid).toBe(NOBODY);
    expect(connectAs(12345, dataDir)).toBe('EACCES');
    await child.tell('stop');
  });

  asAnotherUser(
    'as an ordinary user: a DATA_DIR that can not be written is refused in one sentence',
    async () => {
      const parent = newDataDir();
      await mkdir(parent, { mode: 0o755 });
      const child = spawnChild({ dataDir: join(parent, 'data'), uid: NOBODY });
      expect(await child.failure()).toMatch(/^StartupError: DATA_DIR \(.*\) can't be written/);
    },
  );
});
