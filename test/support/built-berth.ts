import { execFile } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { oncePerRun, runDirectory } from './once-per-run.js';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Returns the path of a `main.js` built from the current sources, once per test run, in the run's directory:
 * a copy of `dist` if that is up to date, or else compiled as `nest build` does it.
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
  const dist = join(target, 'dist');
  await ((await isDistCurrent()) ? copyDist(dist) : compile(dist));
  await chmod(target, 0o755);
}

/** `dist` has other programs, too: the benchmark. */
async function copyDist(dist: string): Promise<void> {
  for (const name of ['src', 'ormconfig.js'])
    await cp(join(ROOT, 'dist', name), join(dist, name), { recursive: true });
}

function isDistCurrent(): Promise<boolean> {
  const check = [join(ROOT, 'scripts/build-if-changed.mjs'), '--check'];
  return promisify(execFile)(process.execPath, check).then(
    () => true,
    () => false,
  );
}

async function compile(dist: string): Promise<void> {
  const flags = ['--outDir', dist, '--noCheck', '--incremental', 'false'];
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-p', join(ROOT, 'tsconfig.build.json'), ...flags, '--tsBuildInfoFile', 'null'];
  await promisify(execFile)(process.execPath, args);
}
