import type { Dirent } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseObjectKey } from '../../object-key.js';
import type { ObjectStat } from '../../storage-driver.js';
import { InvalidObjectKeyError } from '../../storage.errors.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing } from './filesystem.errors.js';

/**
 * Yields every object whose key starts with `prefix`, which may end within a name. Walks depth first with one
 * open directory per level. Skips entries that disappear during the walk, symbolic links, and names that no
 * key can have (`lost+found`).
 */
export async function* walkObjects(
  layout: FilesystemLayout,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<ObjectStat, void> {
  const slash = prefix.lastIndexOf('/');
  const folder = prefix.slice(0, Math.max(slash, 0));
  const nameStart = prefix.slice(slash + 1);
  if (layout.isReserved(folder.split('/')[0] ?? '')) {
    return;
  }
  try {
    await layout.refuseLinks(join(layout.root, folder));
  } catch (error) {
    if (!isMissing(error)) throw error;
    await layout.expectMounted(error);
    return;
  }
  yield* walkFolder(layout, folder, nameStart, signal);
}

async function* walkFolder(
  layout: FilesystemLayout,
  folder: string,
  nameStart: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectStat, void> {
  for await (const entry of entriesOf(join(layout.root, folder))) {
    signal?.throwIfAborted();
    const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (!entry.name.startsWith(nameStart) || !isKey(key) || layout.isReserved(key)) {
      continue;
    }
    if (entry.isDirectory()) {
      yield* walkFolder(layout, key, '', signal);
    } else if (entry.isFile()) {
      yield* statOf(layout, key);
    }
  }
}

async function* entriesOf(path: string): AsyncGenerator<Dirent, void> {
  try {
    yield* await opendir(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Yields the object, or nothing if it no longer exists. */
async function* statOf(layout: FilesystemLayout, key: string): AsyncGenerator<ObjectStat, void> {
  try {
    const { size, mtime } = await lstat(join(layout.root, key));
    yield { key: parseObjectKey(key), sizeBytes: size, modifiedAt: mtime };
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

function isKey(text: string): boolean {
  try {
    parseObjectKey(text);
    return true;
  } catch (error) {
    if (error instanceof InvalidObjectKeyError) return false;
    throw error;
  }
}
