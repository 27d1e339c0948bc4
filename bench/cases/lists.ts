import { isDeepStrictEqual } from 'node:util';
import { defineGroup, perSecond, type BenchCase, type CaseGroup, type Target } from './bench-case.js';
import { fetchFrom } from './check.js';
import { repositoryNames, tagNames } from './listed-names.js';
import { pushSmallImage } from './manifests.js';
import { seedRepositories, seedTags } from './seed-lists.js';
import type { Sizes } from './sizes.js';

const TAGGED = 'bench/tagged';
const PAGE = 100;

/** A list of a server, and its expected content. */
interface List {
  readonly path: string;
  readonly key: 'tags' | 'repositories';
  /** All names, in order. */
  readonly names: readonly string[];
  /** Index of the first name of the page. */
  readonly from: number;
}

/** Pages of long lists. */
export function longLists({ listed }: Sizes): CaseGroup[] {
  const count = listed.toLocaleString('en-US');
  const tags = (from: number): List => ({
    path: `/v2/${TAGGED}/tags/list`,
    key: 'tags',
    names: tagNames(listed),
    from,
  });
  const catalog = (from: number): List => ({
    path: '/v2/_catalog',
    key: 'repositories',
    names: repositoryNames(listed),
    from,
  });
  const middle = listed / 2;
  return [
    defineGroup('tags', seedManyTags, [
      listCase(`tags list, first page of ${PAGE} of ${count} tags`, tags(0)),
      listCase(`tags list, a page of ${PAGE} in the middle of ${count} tags`, tags(middle)),
    ]),
    defineGroup('catalog', seedManyRepositories, [
      listCase(`catalog, first page of ${PAGE} of ${count} repositories`, catalog(0)),
      listCase(`catalog, a page of ${PAGE} in the middle of ${count} repositories`, catalog(middle)),
    ]),
  ];
}

function listCase(name: string, list: List): BenchCase<void> {
  const query = new URLSearchParams({ n: `${PAGE}` });
  const before = list.names[list.from - 1];
  if (before !== undefined) query.set('last', before);
  const path = `${list.path}?${query.toString()}`;
  return {
    name: `${name}, 1 connection`,
    unit: 'requests/s',
    run: async (target, _seed, { seconds }) => {
      const { names, bytes } = await checkedPage(target, path, list);
      const request = { method: 'GET', path, status: 200, bodyBytes: bytes } as const;
      const job = {
        kind: 'requests',
        port: target.server.port,
        connections: 1,
        seconds,
        requests: [request],
      } as const;
      return { ...perSecond(await target.generator.run(job)), details: { 'names per response': names } };
    },
    verify: async (target) => {
      await checkedPage(target, path, list);
    },
  };
}

/**
 * Checks the requested page. A registry without pages of tags (distribution 2.8) returns the whole list, in
 * the order of the file system.
 */
async function checkedPage(
  target: Target,
  path: string,
  list: List,
): Promise<{ names: number; bytes: number }> {
  const text = await (await fetchFrom(target, path)).text();
  const found = (JSON.parse(text) as Record<string, string[] | undefined>)[list.key] ?? [];
  const page = list.names.slice(list.from, list.from + PAGE);
  if (!isDeepStrictEqual(found, page) && !isDeepStrictEqual([...found].sort(), list.names)) {
    const [first = 'nothing'] = found;
    throw new Error(`${path} lists ${found.length} names from ${first} on, not what was seeded`);
  }
  return { names: found.length, bytes: Buffer.byteLength(text) };
}

async function seedManyTags(target: Target): Promise<void> {
  const names = tagNames(target.sizes.listed);
  // The image already has the first tag.
  const [first = '', ...others] = names;
  const image = await pushSmallImage(target, TAGGED, first);
  await seedTags(target, TAGGED, image, others);
}

async function seedManyRepositories(target: Target): Promise<void> {
  await pushSmallImage(target, TAGGED, 'seed');
  await seedRepositories(target, repositoryNames(target.sizes.listed));
}
