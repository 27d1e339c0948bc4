import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../common/startup.error.js';
import { syncDirectory } from '../common/sync-directory.js';
import { oneLine } from '../database/errors/one-line.js';
import { CLAIM_NAME } from '../storage/claim-object.js';
import { IDENTITY_NAME } from '../storage/identity-object.js';
import { copyFile, type CopyRules, type CopySize, copyTree, totalOf } from './durable-copy.js';

/** How the files of the storage get into a backup. */
export const STORAGE_COPYING = ['copy', 'link'] as const;
export type StorageCopying = (typeof STORAGE_COPYING)[number];

/**
 * Copies the storage of the file system driver (its layout is in `filesystem-layout.ts`), while Berth may use
 * it. First the unfinished uploads: one that is finished meanwhile is a blob by then, so it is copied there.
 * The identity comes last: a storage without one that holds blobs is refused at the start, so a copy that was
 * interrupted is never taken for a whole one.
 *
 * @param how `link`: blobs, which never change, become hard links.
 */
export async function copyStorage(from: string, to: string, how: StorageCopying): Promise<CopySize> {
  const copy = (rules: CopyRules) => copyTree(from, to, rules);
  try {
    const uploads = await copy({ includes: isUpload });
    const others = await copy({
      includes: (path) => !isUpload(path) && path !== IDENTITY_NAME && path !== 'lost+found',
      // The claim is replaced, never changed, but a backup must not depend on that.
      links: (path) => how === 'link' && path !== CLAIM_NAME,
    });
    const identity = await copyFile(join(from, IDENTITY_NAME), join(to, IDENTITY_NAME));
    await syncDirectory(to);
    return totalOf([uploads, others, identity]);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EXDEV') throw cause;
    throw new StartupError(
      `${to} is on another file system than ${from}, so files can't be linked: use --storage=copy`,
      { cause },
    );
  }
}

function isUpload(path: string): boolean {
  return path === 'uploads' || path.startsWith('uploads/');
}

/** The identity of a storage on the file system. @throws StartupError if it has none. */
export async function identityIn(root: string): Promise<string> {
  const text = await readFile(join(root, IDENTITY_NAME), 'utf8').catch((cause: unknown) => {
    throw new StartupError(`The storage ${root} can't be read (${oneLine(cause)}): is its disk mounted?`, {
      cause,
    });
  });
  return text.trim();
}
