import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** The built `main.js`: of the build that is named, or of one that is made now, from the sources as they are. */
export async function builtMain(dist: string | undefined): Promise<string> {
  if (dist === undefined) await build();
  const directory = resolve(dist ?? 'dist');
  const main = ['src/main.js', 'main.js']
    .map((name) => join(directory, name))
    .find((path) => existsSync(path));
  if (main === undefined) throw new Error(`there is no built Berth in ${directory}`);
  return main;
}

async function build(): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, ['node_modules/@nestjs/cli/bin/nest.js', 'build']);
  } catch (cause) {
    throw new Error('Berth could not be built: npm run build says why', { cause });
  }
}
