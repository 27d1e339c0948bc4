import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PeerServer } from '../servers/peer.server.js';

/** Directories that are made at once. */
const PARALLEL = 16;

/** The links of tags, as a push writes them. The peer's list looks at the names of the directories alone. */
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

/** Repositories that have nothing but the folders by which the peer's catalog knows one. */
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
