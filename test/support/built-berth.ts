import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { oncePerRun, runDirectory } from './once-per-run.js';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Returns the path of a `main.js` built from the current sources (`dist` may be older). It is compiled as
 * `nest build` does it, once per test run, into the run's directory.
 */
export async function builtMain(): Promise<string> {
  const target = join(runDirectory(), 'berth');
  await oncePerRun('build', () => build(target));
  return join(target, 'dist/src/main.js');
}

async function build(target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  await copyFile(join(ROOT, 'package.json'), join(target, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(target, 'node_modules'));
  const flags = ['--outDir', join(target, 'dist'), '--noCheck', '--incremental', 'false'];
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-p', join(ROOT, 'tsconfig.build.json'), ...flags, '--tsBuildInfoFile', 'null'];
  await promisify(execFile)(process.execPath, args);
  await chmod(target, 0o755);
}
