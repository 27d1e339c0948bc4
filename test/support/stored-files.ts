import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './until.js';

/** A Berth whose storage is in its data directory. */
interface Stored {
  readonly dataDir: string;
}

/** The UUID of a session, from its location. */
export function uploadId(location: string): string {
  return new URL(location, 'http://berth').pathname.split('/').at(-1) ?? '';
}

/** The file that the `filesystem` driver keeps an upload's bytes in. */
export function uploadFile({ dataDir }: Stored, location: string): string {
  return join(dataDir, 'storage', 'uploads', uploadId(location));
}

/** The files of uploads that are not finished. */
export function uploadFiles({ dataDir }: Stored): Promise<string[]> {
  return readdir(join(dataDir, 'storage', 'uploads'));
}

/** The files of finished blobs, by path below `blobs/`. */
export async function blobFiles({ dataDir }: Stored): Promise<string[]> {
  const root = join(dataDir, 'storage', 'blobs');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

/** Waits until the storage has that many bytes of an upload, acknowledged or not. */
export async function bytesArrived(berth: Stored, location: string, bytes: number): Promise<void> {
  const arrived = () =>
    stat(uploadFile(berth, location)).then(
      ({ size }) => size >= bytes,
      () => false,
    );
  await until(`${bytes} bytes in the storage`, arrived);
}
