import { lstat, opendir } from 'node:fs/promises';
import type { StoredUpload } from '../../storage-driver.js';
import { segmentOwner } from '../segment-name.js';
import { listedSegment } from '../upload-segments.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing } from './filesystem.errors.js';

/**
 * Yields every file of an unfinished upload. Skips files that disappear during the walk, directories, links,
 * names that no segment has (`lost+found`), and hidden names: probes, and `.nfs…`, the name that NFS gives to
 * a removed file that is still open.
 */
export async function* walkUploads(
  layout: FilesystemLayout,
  signal?: AbortSignal,
): AsyncGenerator<StoredUpload, void> {
  const folder = await opendir(layout.uploads).catch(async (error: unknown) => {
    if (isMissing(error)) await layout.expectMounted(error);
    throw error;
  });
  for await (const entry of folder) {
    signal?.throwIfAborted();
    const id = entry.name.startsWith('.') ? undefined : segmentOwner(entry.name);
    if (id !== undefined && entry.isFile()) {
      yield* storedUpload(layout, id, entry.name);
    }
  }
}

async function* storedUpload(
  layout: FilesystemLayout,
  id: string,
  name: string,
): AsyncGenerator<StoredUpload, void> {
  try {
    const { mtime } = await lstat(layout.segmentPath(name));
    yield { upload: listedSegment(id, name), modifiedAt: mtime };
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
