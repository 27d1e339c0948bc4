import { transformFile } from '@swc/core';
import { chmod, mkdir, mkdtemp, readdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Compiles these folders and files of the project into a new directory of the same shape, so that node
 * can run them in processes that tests kill. Every user can read it. The caller removes it.
 */
export async function compileSources(paths: readonly string[]): Promise<string> {
  const out = await mkdtemp(join(tmpdir(), 'berth-compiled-'));
  await writeFile(join(out, 'package.json'), '{"type":"module"}');
  await symlink(join(ROOT, 'node_modules'), join(out, 'node_modules'));
  for (const path of paths) {
    for (const file of path.endsWith('.ts') ? [path] : await sourcesIn(path)) await compile(file, out);
  }
  await chmod(out, 0o755);
  return out;
}

async function sourcesIn(folder: string): Promise<string[]> {
  const names = await readdir(join(ROOT, folder), { recursive: true });
  return names
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'))
    .map((name) => join(folder, name));
}

async function compile(file: string, out: string): Promise<void> {
  const { code } = await transformFile(join(ROOT, file), {
    jsc: { target: 'es2023', parser: { syntax: 'typescript', decorators: true } },
    module: { type: 'es6' },
  });
  const target = join(out, file.replace(/\.ts$/, '.js'));
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, code);
}
