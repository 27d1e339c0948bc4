import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, rename, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { tryFileLock } from '../../src/common/file-lock.js';

const ROOT = join(import.meta.dirname, '../..');
const BUILD_TIMEOUT_MS = 120_000;

/**
 * The path of a `main.js` made from the sources as they are now, which `dist` may not be: compiled as `nest build`
 * does it, once per test run and into the run's own directory, which `postgres-setup.ts` removes.
 */
export async function builtMain(): Promise<string> {
  const directory = process.env['BERTH_TEST_POSTGRES_DIR'];
  if (!directory) throw new Error('a built Berth needs the globalSetup of jest.config.mjs');
  const built = join(directory, 'berth');
  const main = join(built, 'dist/src/main.js');
  const deadline = Date.now() + BUILD_TIMEOUT_MS;
  while (!(await exists(main))) {
    if (Date.now() > deadline) throw new Error('Berth was not compiled in time');
    const lock = await tryFileLock(join(directory, 'build.lock'));
    if (!lock) {
      await sleep(100);
      continue;
    }
    try {
      if (!(await exists(main))) await build(built);
    } finally {
      lock.release();
    }
  }
  return main;
}

async function build(target: string): Promise<void> {
  const draft = `${target}.new`;
  await mkdir(draft, { recursive: true });
  await copyFile(join(ROOT, 'package.json'), join(draft, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(draft, 'node_modules'));
  const flags = ['--outDir', join(draft, 'dist'), '--noCheck', '--incremental', 'false'];
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-p', join(ROOT, 'tsconfig.build.json'), ...flags, '--tsBuildInfoFile', 'null'];
  await promisify(execFile)(process.execPath, args, { timeout: BUILD_TIMEOUT_MS });
  await chmod(draft, 0o755);
  await rename(draft, target);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
