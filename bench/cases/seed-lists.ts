import type { PushedImage } from '../load/jobs.js';
import type { Target } from './bench-case.js';
import { seedBerthRepositories, seedBerthTags } from './seed-berth-lists.js';
import { seedPeerRepositories, seedPeerTags } from './seed-peer-lists.js';

/**
 * Tags and repositories by the hundred thousand. Pushing them would take minutes and show nothing: one is pushed, and
 * the others are written as the server itself would have, into Berth's database, or the peer's tree of links. Whether
 * the server takes them for its own is seen by what it lists.
 */
export function seedTags(
  target: Target,
  repository: string,
  image: PushedImage,
  tags: readonly string[],
): Promise<void> {
  const { kind, server } = target;
  if (kind === 'berth') return seedBerthTags(server.directory, repository, tags);
  return seedPeerTags(server.directory, repository, image.manifest.digest, tags);
}

export function seedRepositories({ kind, server }: Target, names: readonly string[]): Promise<void> {
  if (kind === 'berth') return seedBerthRepositories(server.directory, names);
  return seedPeerRepositories(server.directory, names);
}
