import { randomUUID } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { chmod, chown, cp, lstat, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { findPostgresPackage, type PostgresPackage } from '../../src/embedded-postgres/postgres-package.js';
import { connectAs, EmbeddedBench, postmasterPid } from '../support/embedded-bench.js';
import { withSmallDisk } from '../support/small-disk.js';

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

let bench: EmbeddedBench;
beforeAll(async () => void (bench = await EmbeddedBench.open()));
afterEach(() => bench.clear());
afterAll(() => bench.dispose());

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
    return { root: copy, version: `test-${randomUUID()}` };
  }

  it('are repaired where the install script did not run', async () => {
    const dataDir = bench.newDataDir();
    await mkdir(dataDir);
    const binaries = await brokenPackage(dataDir);
    await chmod(dataDir, 0o755);
    await bench.start(dataDir, binaries);
    const program = readlinkSync(`/proc/${postmasterPid(dataDir)!}/exe`);
    expect(program).toBe(join(binaries.root, 'native/bin/postgres'));
  });

  asAnotherUser('are copied into DATA_DIR where an ordinary user can not repair them', async () => {
    const owner = bench.newDataDir();
    await mkdir(owner);
    const binaries = await brokenPackage(owner);
    const dataDir = bench.newDataDir();
    execFileSync('install', ['-d', '-m', '0700', '-o', String(NOBODY), dataDir]);
    const child = bench.spawn({ dataDir, binaries, uid: NOBODY });
    await child.ready();
    const program = readlinkSync(`/proc/${postmasterPid(dataDir)!}/exe`);
    expect(program).toBe(join(dataDir, `berth-postgres-${binaries.version}`, 'native/bin/postgres'));
    await child.tell('stop');
  });

  asAnotherUser('are copied on a disk with less room than they need, with the reserve file’s', async () => {
    const owner = bench.newDataDir();
    await mkdir(owner);
    const binaries = await brokenPackage(owner);
    const dataDir = bench.newDataDir();
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
        const child = bench.spawn({ dataDir, binaries, uid: NOBODY });
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
    const home = bench.newDataDir();
    await mkdir(home, { mode: 0o700 });
    const binaries = await brokenPackage(home);
    const dataDir = join(home, 'data');
    try {
      await bench.start(dataDir, binaries);
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
  it('comes from the directory of the socket, which its owner alone can enter', async () => {
    const dataDir = bench.newDataDir();
    await bench.start(dataDir);
    expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, 'postgres/.s.PGSQL.5432'))).mode & 0o777).toBe(0o700);
  });

  asRoot('as root: a cluster that root restored is given back to the user of Postgres', async () => {
    const dataDir = bench.newDataDir();
    await (await bench.start(dataDir)).stop();
    execFileSync('chown', ['-R', '0:0', join(dataDir, 'postgres')]);
    await bench.start(dataDir);
    expect((await stat(join(dataDir, 'postgres/base'))).uid).not.toBe(0);
  });

  asAnotherUser('as an ordinary user: everything is that user’s', async () => {
    const dataDir = bench.newDataDir();
    execFileSync('install', ['-d', '-m', '0700', '-o', String(NOBODY), dataDir]);
    const child = bench.spawn({ dataDir, uid: NOBODY });
    await child.ready();
    expect((await stat(`/proc/${postmasterPid(dataDir)!}`)).uid).toBe(NOBODY);
    expect(connectAs(12345, dataDir)).toBe('EACCES');
    await child.tell('stop');
  });

  asAnotherUser(
    'as an ordinary user: a DATA_DIR that can not be written is refused in one sentence',
    async () => {
      const parent = bench.newDataDir();
      await mkdir(parent, { mode: 0o755 });
      const child = bench.spawn({ dataDir: join(parent, 'data'), uid: NOBODY });
      expect(await child.failure()).toMatch(/^StartupError: DATA_DIR \(.*\) can't be written/);
    },
  );
});
