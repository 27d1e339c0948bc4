import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { runCommand, startCommand } from '../support/berth-command.js';
import type { BerthProcess } from '../support/berth-process.js';
import { query } from '../support/embedded-bench.js';
import { ImagePushers, lostImages, type PushedImage } from '../support/image-pushers.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';

const bench = useProcessBench();

/** The collector deletes rows during the backups, and objects that the former backups have. */
const COLLECTING = {
  GC_INTERVAL_SECONDS: '1',
  GC_UNDELETE_SECONDS: '0',
  GC_GRACE_SECONDS: '3',
  GC_READ_WINDOW_SECONDS: '120',
};

interface Source {
  readonly dataDir: string;
  readonly berth: BerthProcess;
  readonly client: RegistryClient;
}

async function start(settings: Record<string, string> = {}): Promise<Source> {
  const dataDir = bench.newDataDir();
  const berth = bench.start({ DATA_DIR: dataDir, ...settings });
  return { dataDir, berth, client: new RegistryClient(await berth.url()) };
}

const backup = (dataDir: string, ...args: string[]) => runCommand('backup', args, { DATA_DIR: dataDir });
const restore = (dataDir: string, ...args: string[]) => runCommand('restore', args, { DATA_DIR: dataDir });

/** The modes of all files and directories below a directory, without duplicates. */
function modesIn(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const modes = execFileSync('stat', ['-c', '%F %a', ...names], { cwd: directory, encoding: 'utf8' });
  return [...new Set(modes.replaceAll('regular empty', 'regular').trim().split('\n'))].sort();
}

describe('backups during pushes, deletions and collections', () => {
  const BACKUPS = [['--storage=copy'], ['--storage=link'], [], ['--storage=link'], []];
  const SESSION_BYTES = patternBytes(300_000);

  /** What the registry had acknowledged when a backup began. */
  interface Made {
    readonly directory: string;
    readonly storage: string | undefined;
    readonly images: PushedImage[];
  }

  it('have all that was acknowledged before they began, and nothing is missing', async () => {
    const { dataDir, berth, client } = await start(COLLECTING);
    const session = await client.startUpload('sessions');
    expect((await client.patch(session, SESSION_BYTES.subarray(0, 200_000))).status).toBe(202);
    const pushers = new ImagePushers(client, 4);
    const made: Made[] = [];
    for (const [index, args] of BACKUPS.entries()) {
      await until('more pushes', () => pushers.images.size >= 20 * (index + 1));
      made.push(await backUp(dataDir, pushers, args));
    }
    await pushers.stop();
    expect(await query(dataDir, 'SELECT * FROM pg_replication_slots')).toEqual([]);
    await berth.kill();
    for (const each of made) await expectRestored(each, session);
  });

  async function backUp(dataDir: string, pushers: ImagePushers, args: string[]): Promise<Made> {
    const directory = join(bench.newDataDir(), 'new/backup');
    const before = [...pushers.images];
    const result = await backup(dataDir, ...args, directory);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const storage = args.length === 0 ? `${directory}-storage` : undefined;
    if (storage === undefined) expect(result.stdout).toMatch(/^The storage is in it, too: \d+ files/m);
    else {
      expect(result.stdout).toMatch(
        /^The storage is not in it: copy .*\/storage now, and be done before 20/m,
      );
      execFileSync('cp', ['-a', join(dataDir, 'storage'), storage]);
    }
    // Images that are pushed and deleted before the end are in neither set.
    return { directory, storage, images: before.filter((image) => pushers.images.has(image)) };
  }

  async function expectRestored({ directory, storage, images }: Made, session: string): Promise<void> {
    expect(images.length).toBeGreaterThan(0);
    expect(modesIn(join(directory, 'postgres'))).toEqual(['directory 700', 'regular file 600']);
    const dataDir = bench.newDataDir();
    if (storage !== undefined) {
      await mkdir(dataDir, { mode: 0o700 });
      execFileSync('cp', ['-a', storage, join(dataDir, 'storage')]);
    }
    const restored = await restore(dataDir, '--full', directory);
    expect(restored).toMatchObject({ code: 0, stderr: '' });
    expect(restored.stdout).toMatch(/^Checked \d+ blobs: none is missing\.$/m);
    const berth = bench.start({ DATA_DIR: dataDir });
    const client = new RegistryClient(await berth.url());
    expect(await lostImages(client, images)).toEqual([]);
    const rest = SESSION_BYTES.subarray(200_000);
    const { status } = await client.commit(session, digestOf(SESSION_BYTES), rest, '200000-299999');
    expect(status).toBe(201);
    expect((await client.blob('sessions', digestOf(SESSION_BYTES))).equals(SESSION_BYTES)).toBe(true);
    // A storage that was restored with its database belongs to it alone, so it may delete there.
    if (storage === undefined)
      expect((await runCommand('check-storage', [], { DATA_DIR: dataDir })).stdout).not.toMatch(/may not/);
    await berth.kill();
    await rm(dataDir, { recursive: true });
  }
});

describe('a backup', () => {
  it('that was killed is never taken for a whole one, and leaves nothing in the server', async () => {
    const { dataDir } = await start();
    const directory = bench.newDataDir();
    const { process, result } = await startCommand('backup', [directory], { DATA_DIR: dataDir });
    await until('files', () => existsSync(join(directory, 'postgres/base')));
    process.kill('SIGKILL');
    expect((await result).code).toBeNull();
    expect((await restore(bench.newDataDir(), directory)).stderr).toMatch(/ has no complete backup \(ENOENT/);
    expect((await backup(dataDir, directory)).stderr).toMatch(/ is not empty: give a directory/);
    await until('the end of the session', async () => {
      return (await query(dataDir, 'SELECT FROM pg_replication_slots')).length === 0;
    });
    expect(await backup(dataDir, bench.newDataDir())).toMatchObject({ code: 0, stderr: '' });
  });

  it('that fails is removed', async () => {
    const { dataDir } = await start();
    const directory = bench.newDataDir();
    await writeFile(join(dataDir, 'storage/berth-identity'), 'ef3e2a50-0000-4000-8000-000000000000\n');
    const { code, stderr } = await backup(dataDir, '--storage=copy', directory);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^The storage .* doesn't belong to the database: its identity is .*\.\n$/,
      ),
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('needs a registry that runs, an embedded database, and a directory outside of DATA_DIR', async () => {
    const dataDir = bench.newDataDir();
    const said = async (settings: Record<string, string>, ...args: string[]) =>
      (await runCommand('backup', args, { DATA_DIR: dataDir, ...settings })).stderr;
    expect(await said({}, '/tmp/never-made')).toMatch(
      /can't be reached .*start Berth, which runs PostgreSQL/,
    );
    expect(await said({}, join(dataDir, 'storage/backup'))).toMatch(/is inside .*, which is backed up/);
    const elsewhere = bench.newDataDir();
    for (const directory of [dataDir, elsewhere]) await mkdir(directory, { recursive: true });
    await symlink(dataDir, join(elsewhere, 'link'));
    expect(await said({}, join(elsewhere, 'link/backup'))).toMatch(/is inside .*, which is backed up/);
    expect(await said({ DATABASE_URL: 'postgres://b@x/b' }, '/tmp/never-made')).toMatch(/pg_basebackup/);
    expect(await said({ STORAGE_DRIVER: 'memory' }, '/tmp/never-made')).toMatch(/nothing to back up/);
    expect(await said({})).toBe('expected one directory; --help shows what this command takes.\n');
    expect(existsSync('/tmp/never-made')).toBe(false);
  });
});

describe('a restore', () => {
  it('says what is missing, and ends with exit code 1', async () => {
    const { dataDir, client } = await start();
    const digests: string[] = [];
    for (let n = 0; n < 5; n += 1) digests.push(await client.pushBlob('app/one', `layer ${n}`));
    const directory = bench.newDataDir();
    await backup(dataDir, '--storage=copy', directory);
    const target = bench.newDataDir();
    expect(await restore(target, directory)).toMatchObject({ code: 0 });
    const [first = '', second = ''] = digests.sort();
    rmSync(pathOf(target, first));
    await writeFile(pathOf(target, second), 'short');
    const check = await runCommand('check-storage', ['--full'], { DATA_DIR: target });
    expect(check.code).toBe(1);
    expect(check.stdout.split('\n').sort()).toEqual([
      '',
      'Checked 5 blobs: 2 missing: push them again, or restore them.',
      `missing: ${first} (7 B) in app/one`,
      `wrong size: ${second} (7 B) in app/one`,
    ]);
  });

  function pathOf(dataDir: string, digest: string): string {
    const hex = digest.slice('sha256:'.length);
    const directory = join(dataDir, 'storage/blobs/sha256', hex.slice(0, 2), hex);
    return join(directory, readdirSync(directory)[0] ?? '');
  }

  it('is refused where a registry runs or has been, and for an incomplete copy', async () => {
    const { dataDir, berth } = await start();
    const directory = bench.newDataDir();
    await backup(dataDir, directory);
    expect((await restore(dataDir, directory)).stderr).toMatch(/^DATA_DIR .* is in use by another Berth/);
    await berth.kill();
    expect((await restore(dataDir, directory)).stderr).toMatch(/postgres is not empty: move it away/);
    const target = bench.newDataDir();
    const description = join(directory, 'backup.json');
    const text = await readFile(description, 'utf8');
    await writeFile(description, text.replace('"postgres": 18', '"postgres": 17'));
    expect((await restore(target, directory)).stderr).toMatch(/^The backup is of PostgreSQL 17 .*has 18\./);
    await writeFile(description, text);
    await rm(join(directory, 'postgres/backup_label'));
    expect((await restore(target, directory)).stderr).toMatch(/ has \d+ files with .*, and the backup had /);
    expect(readdirSync(target).filter((name) => name.startsWith('postgres/'))).toEqual([]);
    await expect(stat(join(target, 'postgres'))).rejects.toThrow('ENOENT');
  });
});
