import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, chmod, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { commandLine, EmbeddedBench, KEEP, kept, postmasterPid, query } from '../support/embedded-bench.js';

let bench: EmbeddedBench;
beforeAll(async () => void (bench = await EmbeddedBench.open()));
afterEach(() => bench.clear());
afterAll(() => bench.dispose());

describe('the embedded Postgres', () => {
  it('stops while sessions are open, and can be stopped twice', async () => {
    const dataDir = bench.newDataDir();
    const server = await bench.start(dataDir);
    const client = new pg.Client({ ...server.connection });
    client.on('error', () => undefined);
    await client.connect();
    await Promise.all([server.stop(), server.stop()]);
    expect(postmasterPid(dataDir)).toBeUndefined();
    await client.end().catch(() => undefined);
  });

  it('refuses a path that is too long for its socket, before it creates anything', async () => {
    const dataDir = join(bench.newDataDir(), 'deep/'.repeat(40));
    await expect(bench.start(dataDir)).rejects.toThrow(/^The path of DATA_DIR is \d+ bytes too long/);
    expect(await readdir(dataDir)).toEqual([]);
  });

  it('works below a path with spaces, quotes and letters beyond ASCII', async () => {
    const dataDir = `${bench.newDataDir()} it's "data" für alle`;
    await (await bench.start(dataDir)).stop();
    await bench.start(dataDir);
    await query(dataDir, KEEP);
  });

  describe('reports why Postgres does not start:', () => {
    it.each<[string, (cluster: string) => Promise<void>, RegExp]>([
      [
        'a cluster of another version',
        (cluster) => writeFile(join(cluster, 'PG_VERSION'), '17\n'),
        /postgres is a database of PostgreSQL 17, and this Berth has PostgreSQL 18, .*nothing was changed: start/,
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
      const dataDir = bench.newDataDir();
      execFileSync('cp', ['-a', await bench.stoppedCluster(), dataDir]);
      await spoil(join(dataDir, 'postgres'));
      await expect(bench.start(dataDir)).rejects.toThrow(sentence);
    });
  });

  it('starts despite a pid file whose process id belongs to another process', async () => {
    const dataDir = bench.newDataDir();
    await (await bench.start(dataDir)).stop();
    const bystander = spawn('sleep', ['60']);
    for (const name of ['postmaster.pid', '.s.PGSQL.5432.lock']) {
      await writeFile(
        join(dataDir, 'postgres', name),
        `${bystander.pid}\n${dataDir}/postgres\n1\n5432\n.\n\n`,
      );
    }
    await bench.start(dataDir);
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
    bystander.kill();
  });
});

describe('a kill', () => {
  it('of Berth leaves a Postgres that the next start stops', async () => {
    const dataDir = bench.newDataDir();
    const child = bench.spawn({ dataDir });
    await child.ready();
    await query(dataDir, KEEP);
    await child.kill();
    const orphan = postmasterPid(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
    await bench.start(dataDir);
    expect(postmasterPid(dataDir)).not.toBe(orphan);
    expect(commandLine(orphan!)).toBe('');
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
  });

  it('of Berth and Postgres loses nothing', async () => {
    const dataDir = bench.newDataDir();
    const child = bench.spawn({ dataDir });
    await child.ready();
    await query(dataDir, KEEP);
    process.kill(postmasterPid(dataDir)!, 'SIGKILL');
    await child.kill();
    await bench.start(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
  });

  it('of Berth during the recovery of Postgres loses nothing', async () => {
    const dataDir = bench.newDataDir();
    const first = bench.spawn({ dataDir });
    await first.ready();
    await query(
      dataDir,
      `${KEEP}; CREATE TABLE bulk AS SELECT g, repeat('x', 200) FROM generate_series(1, 300000) g`,
    );
    process.kill(postmasterPid(dataDir)!, 'SIGKILL');
    await first.kill();
    const second = bench.spawn({ dataDir });
    await second.seen(({ log }) => log?.includes('redo starts') === true);
    await second.kill();
    await bench.start(dataDir);
    expect(await kept(dataDir)).toEqual([{ x: 42 }]);
    expect(await query(dataDir, 'SELECT count(*)::int AS n FROM bulk')).toEqual([{ n: 300_000 }]);
  });

  it.each([150, 300, 450, 600, 750, 900, 1050, 1200])(
    'of Berth %i ms into its first start costs nothing',
    async (ms) => {
      const dataDir = bench.newDataDir();
      const child = bench.spawn({ dataDir });
      await sleep(ms);
      await child.kill();
      await bench.start(dataDir);
      await query(dataDir, KEEP);
      expect((await readdir(dataDir)).sort()).toEqual(expect.arrayContaining(['postgres', 'postgres.lock']));
      expect(existsSync(join(dataDir, 'postgres.new'))).toBe(false);
    },
  );

  it('with Ctrl-C reaches Berth and not Postgres', async () => {
    const dataDir = bench.newDataDir();
    const child = bench.spawn({ dataDir });
    await child.ready();
    child.signalGroup('SIGINT');
    await child.seen(({ interrupted }) => interrupted === true);
    await query(dataDir, KEEP);
    await child.tell('stop');
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  it('is not needed if Berth exits without stopping Postgres', async () => {
    const dataDir = bench.newDataDir();
    const child = bench.spawn({ dataDir });
    await child.ready();
    const pid = postmasterPid(dataDir)!;
    await child.tell('exit');
    for (let tries = 0; commandLine(pid) !== '' && tries < 400; tries += 1) await sleep(25);
    expect(commandLine(pid)).toBe('');
  });
});
