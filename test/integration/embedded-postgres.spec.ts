import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { commandLine, EmbeddedBench, KEEP, kept, postmasterPid, query } from '../support/embedded-bench.js';

const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('Skipped: the tests of running as root, since this user is not root.\n');
const asRoot = isRoot ? it : it.skip;

let bench: EmbeddedBench;
beforeAll(async () => void (bench = await EmbeddedBench.open()));
afterEach(() => bench.clear());
afterAll(() => bench.dispose());

describe('the embedded Postgres', () => {
  it('creates its cluster, listens on no port and keeps its data over a restart', async () => {
    const dataDir = bench.newDataDir();
    const first = await bench.start(dataDir);
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
    await bench.start(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
  });

  it('reports when it ends unexpectedly', async () => {
    const dataDir = bench.newDataDir();
    const server = await bench.start(dataDir);
    process.kill(postmasterPid(dataDir)!, 'SIGKILL');
    expect(await server.died).toBe('PostgreSQL ended unexpectedly: signal SIGKILL.');
  });

  it('refuses a directory with other files', async () => {
    const dataDir = bench.newDataDir();
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await writeFile(join(dataDir, 'postgres/thesis.txt'), 'precious');
    await expect(bench.start(dataDir)).rejects.toThrow(/holds files but no PostgreSQL cluster/);
    expect(await readdir(join(dataDir, 'postgres'))).toEqual(['thesis.txt']);
  });

  describe('reports why Postgres ended during its start, whatever the connection errors:', () => {
    /** Listens and breaks each connection, prints its lines and ends. */
    const program = (node: string, lines: readonly string[], end: string) => `#!${node}
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
      const dataDir = bench.newDataDir();
      await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: 0o700 });
      await writeFile(join(dataDir, 'postgres/PG_VERSION'), '18\n');
      const root = join(dataDir, 'package');
      await mkdir(join(root, 'native/bin'), { recursive: true });
      await writeFile(join(root, 'package.json'), '{"type":"commonjs"}');
      const source = program(await bench.nodeForEveryUser(), lines, end);
      for (const name of ['initdb', 'postgres']) {
        await writeFile(join(root, 'native/bin', name), source, { mode: 0o755 });
      }
      await chmod(dataDir, 0o755);
      await expect(bench.start(dataDir, { root, version: 'fake' })).rejects.toThrow(sentence);
    });
  });
});

describe('the claim of DATA_DIR', () => {
  it('is refused to a second Berth, which names the first, and is released by kill -9', async () => {
    const dataDir = bench.newDataDir();
    const child = bench.spawn({ dataDir, claimOnly: true });
    await child.ready();
    await expect(bench.claim(dataDir)).rejects.toThrow(
      `DATA_DIR (${dataDir}) is in use by another Berth (pid ${child.pid})`,
    );
    await child.kill();
    await bench.claim(dataDir);
  });

  it('is not held by the Postgres that a killed Berth left behind', async () => {
    const dataDir = bench.newDataDir();
    const child = bench.spawn({ dataDir });
    await child.ready();
    await child.kill();
    expect(commandLine(postmasterPid(dataDir)!)).toContain('postgres');
    await bench.claim(dataDir);
  });

  it('succeeds for one of several that start at once', async () => {
    const dataDir = bench.newDataDir();
    const starters = Array.from({ length: 6 }, () => bench.spawn({ dataDir, claimOnly: true }));
    const outcomes = await Promise.all(
      starters.map((starter) => starter.seen(({ ready, failed }) => (ready ?? failed) !== undefined)),
    );
    expect(outcomes.filter(({ ready }) => ready)).toHaveLength(1);
  });
});

describe('privacy', () => {
  asRoot('as root: Postgres runs as another user, and only root can connect to it', async () => {
    const dataDir = bench.newDataDir();
    await bench.claim(dataDir);
    await bench.start(dataDir);
    const owner = (await stat(join(dataDir, 'postgres'))).uid;
    expect(owner).not.toBe(0);
    expect((await stat(`/proc/${postmasterPid(dataDir)!}`)).uid).toBe(owner);
    expect(await bench.connectAs(0, dataDir)).toBe('connected');
    expect(await bench.connectAs(12345, dataDir)).toBe('EACCES');
    // Only root can enter DATA_DIR, so other services of that user have no access.
    expect(await bench.connectAs(owner, dataDir)).toBe('EACCES');
  });
});
