import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PeerServer } from '../servers/peer.server.js';

/** Number of directories created at the same time. */
const PARALLEL = 16;

/** Writes the links of tags, as a push does. The peer's list reads only the names of the directories. */
export async function seedPeerTags(
  directory: string,
  repository: string,
  digest: string,
  tags: readonly string[],
): Promise<void> {
  const folder = join(repositoriesOf(directory), repository, '_manifests/tags');
  await forEach(tags, async (tag) => {
    const current = join(folder, tag, 'current');
    await mkdir(current, { recursive: true });
    await writeFile(join(current, 'link'), digest);
  });
}

/** Repositories with only the folders that the peer's catalog reads. */
export async function seedPeerRepositories(directory: string, names: readonly string[]): Promise<void> {
  await forEach(names, async (name) => {
    const folder = join(repositoriesOf(directory), name);
    await mkdir(join(folder, '_layers'), { recursive: true });
    await mkdir(join(folder, '_manifests'));
  });
}

function repositoriesOf(directory: string): string {
  return join(PeerServer.storageOf(directory), 'docker/registry/v2/repositories');
}

async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const take = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, take));
}
