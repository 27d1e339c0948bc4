import { lstat, opendir } from 'node:fs/promises';
import type { StoredUpload } from '../../storage-driver.js';
import { segmentOwner } from '../segment-name.js';
import { listedSegment } from '../upload-segments.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing } from './filesystem.errors.js';

/**
 * Every file of an unfinished upload. What vanishes meanwhile is left out; so is what is none: folders, links, names
 * that no segment has (`lost+found`), and hidden names (probes; NFS calls a file that is removed while it is open
 * `.nfs…`, and would only do so again).
 */
export async function* walkUploads(layout: FilesystemLayout): AsyncGenerator<StoredUpload, void> {
  const folder = await opendir(layout.uploads).catch(async (error: unknown) => {
    if (isMissing(error)) await layout.expectMounted(error);
    throw error;
  });
  for await (const entry of folder) {
    const id = entry.name.startsWith('.') ? undefined : segmentOwner(entry.name);
    if (id !== undefined && entry.isFile()) {
      yield* storedAs(layout, id, entry.name);
    }
  }
}

async function* storedAs(
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
