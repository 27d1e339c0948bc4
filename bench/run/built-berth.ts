import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** Path of the built `main.js`: of the given build, or of a new build of the current sources. */
export async function builtMain(dist: string | undefined): Promise<string> {
  if (dist === undefined) await build();
  const directory = resolve(dist ?? 'dist');
  const main = ['src/main.js', 'main.js']
    .map((name) => join(directory, name))
    .find((path) => existsSync(path));
  if (main === undefined) throw new Error(`no build of Berth in ${directory}`);
  return main;
}

async function build(): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, ['node_modules/@nestjs/cli/bin/nest.js', 'build']);
  } catch (cause) {
    throw new Error('the build of Berth failed: see npm run build', { cause });
  }
}
