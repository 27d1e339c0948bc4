import { link, mkdir, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mapBounded } from '../common/map-bounded.js';
import { StartupError } from '../common/startup.error.js';
import { syncDirectory } from '../common/sync-directory.js';

/** How many files of a directory are copied at a time: each waits for its flush. */
const CONCURRENT_COPIES = 8;
const CHUNK_BYTES = 256 * 1024;

/** What was copied. Compared with a copy of the copy, it shows that nothing is missing there. */
export interface CopySize {
  readonly files: number;
  readonly bytes: number;
}

export const NOTHING_COPIED: CopySize = { files: 0, bytes: 0 };

export function totalOf(sizes: readonly CopySize[]): CopySize {
  return sizes.reduce((a, b) => ({ files: a.files + b.files, bytes: a.bytes + b.bytes }), NOTHING_COPIED);
}

/** Which entries of a tree are copied, and how. Paths are relative to it. */
export interface CopyRules {
  /** Default: everything. A directory that is skipped is not created. */
  readonly includes?: (path: string) => boolean;
  /** Whether the copy is a hard link: for files that never change. Default: none. */
  readonly links?: (path: string) => boolean;
}

/**
 * Copies the directories and files below `from` into `to`, which is created, and makes the copy durable.
 * Files that are removed meanwhile are left out, and so are sockets and pipes. Only the owner can read the
 * copy: it may contain secrets.
 *
 * @throws StartupError for a link: what it leads to would be missing; errors of the file system.
 */
export function copyTree(from: string, to: string, rules: CopyRules = {}): Promise<CopySize> {
  return copyDirectory({ from, to, rules }, '');
}

interface Tree {
  readonly from: string;
  readonly to: string;
  readonly rules: CopyRules;
}

async function copyDirectory(tree: Tree, path: string): Promise<CopySize> {
  const { includes = () => true } = tree.rules;
  await mkdir(join(tree.to, path), { recursive: true, mode: 0o700 });
  const entries = await readdir(join(tree.from, path), { withFileTypes: true }).catch(ifMissing([]));
  const included = entries.filter(({ name }) => includes(join(path, name)));
  const linked = included.find((entry) => entry.isSymbolicLink());
  if (linked)
    throw new StartupError(`${join(tree.from, path, linked.name)} is a link, which can't be copied`);
  const files = included.filter((entry) => entry.isFile());
  const sizes = await mapBounded(files, CONCURRENT_COPIES, ({ name }) => copyEntry(tree, join(path, name)));
  for (const { name } of included.filter((entry) => entry.isDirectory()))
    sizes.push(await copyDirectory(tree, join(path, name)));
  await syncDirectory(join(tree.to, path));
  return totalOf(sizes);
}

function copyEntry({ from, to, rules }: Tree, path: string): Promise<CopySize> {
  const copy = rules.links?.(path) === true ? linkFile : copyFile;
  return copy(join(from, path), join(to, path)).catch(ifMissing(NOTHING_COPIED));
}

async function linkFile(from: string, to: string): Promise<CopySize> {
  await link(from, to);
  return { files: 1, bytes: (await stat(to)).size };
}

/**
 * Copies a file, which others may write to or shorten, up to its end. The copy is flushed; its entry in the
 * directory is not.
 *
 * Node's own `copyFile` asks for the length first, and never ends if the file becomes shorter.
 */
export async function copyFile(from: string, to: string): Promise<CopySize> {
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'wx', 0o600);
    try {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      let bytes = 0;
      for (;;) {
        const { bytesRead } = await source.read(chunk, 0, chunk.length, bytes);
        if (bytesRead === 0) break;
        await target.writev([chunk.subarray(0, bytesRead)]);
        bytes += bytesRead;
      }
      await target.sync();
      return { files: 1, bytes };
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Writes a new file and flushes it. Its entry in the directory is not flushed. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<CopySize> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  return { files: 1, bytes: Buffer.byteLength(content) };
}

function ifMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}
