import { randomUUID } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { findPostgresPackage, type PostgresPackage } from '../../src/embedded-postgres/postgres-package.js';
import { EmbeddedBench, postmasterPid } from '../support/embedded-bench.js';

const isRoot = process.getuid?.() === 0;
const UNKNOWN_ORIGIN = 65534;
if (!isRoot) process.stderr.write('Skipped: the tests of running as root, since this user is not root.\n');
const asRoot = isRoot ? it : it.skip;

/** For what another user runs: below a home that only root can enter, it could not even read the program. */
const asAnotherUser = isRoot && anotherUserCanReadTheCheckout() ? it : it.skip;
if (isRoot && asAnotherUser !== it) {
  process.stderr.write(
    'Skipped: what an ordinary user starts, since others can not reach this checkout or this Node.\n',
  );
}

function anotherUserCanReadTheCheckout(): boolean {
  const file = join(import.meta.dirname, '../../node_modules/koffi/package.json');
  return (
    spawnSync(process.execPath, ['-e', 'fs.accessSync(process.argv[1])', file], {
      uid: UNKNOWN_ORIGIN,
      cwd: '/',
    }).status === 0
  );
}

let bench: EmbeddedBench;
beforeAll(async () => void (bench = await EmbeddedBench.open()));
afterEach(() => bench.clear());
afterAll(() => bench.dispose());

describe('the PostgreSQL binaries', () => {
  async function copyOfThePackage(parent: string): Promise<PostgresPackage> {
    const { root } = await findPostgresPackage();
    const copy = join(parent, 'package');
    await cp(root, copy, { recursive: true, verbatimSymlinks: true });
    return { root: copy, version: `test-${randomUUID()}` };
  }

  it('are refused, with advice, without the links that their install script creates', async () => {
    const dataDir = bench.newDataDir();
    await mkdir(dataDir);
    const binaries = await copyOfThePackage(dataDir);
    for (const entry of await readdir(join(binaries.root, 'native/lib'), { withFileTypes: true })) {
      if (entry.isSymbolicLink()) await rm(join(entry.parentPath, entry.name));
    }
    await chmod(dataDir, 0o755);
    await expect(bench.start(dataDir, binaries)).rejects.toThrow(
      /error while loading shared libraries: .+; run `npm rebuild`, or set DATABASE_URL/,
    );
  });

  asRoot('are copied to where Postgres can reach them if the checkout is in a closed home', async () => {
    const home = bench.newDataDir();
    await mkdir(home, { mode: 0o700 });
    const binaries = await copyOfThePackage(home);
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
  it('is provided by the directory of the socket, which only its owner can enter', async () => {
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
    execFileSync('install', ['-d', '-m', '0700', '-o', String(UNKNOWN_ORIGIN), dataDir]);
    const child = bench.spawn({ dataDir, uid: UNKNOWN_ORIGIN });
    await child.ready();
    expect((await stat(`/proc/${postmasterPid(dataDir)!}`)).uid).toBe(UNKNOWN_ORIGIN);
    expect(await bench.connectAs(12345, dataDir)).toBe('EACCES');
    await child.tell('stop');
  });

  asAnotherUser(
    'as an ordinary user: a DATA_DIR that can not be written is refused in one sentence',
    async () => {
      const parent = bench.newDataDir();
      await mkdir(parent, { mode: 0o755 });
      const child = bench.spawn({ dataDir: join(parent, 'data'), uid: UNKNOWN_ORIGIN });
      expect(await child.failure()).toMatch(/^StartupError: DATA_DIR \(.*\) is not writable/);
    },
  );
});
