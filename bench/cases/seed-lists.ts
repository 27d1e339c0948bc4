import type { PushedImage } from '../load/jobs.js';
import type { Target } from './bench-case.js';
import { seedBerthRepositories, seedBerthTags } from './seed-berth-lists.js';
import { seedPeerRepositories, seedPeerTags } from './seed-peer-lists.js';

/**
 * Seeds a hundred thousand tags and repositories. Pushing them would take minutes. So one is pushed, and the
 * others are written as the server would, to Berth's database or the peer's tree of links. The cases check
 * that the server lists them.
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
