import { describe, it } from '@jest/globals';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BIG_REPOSITORY as BIG, EMPTY_JSON, MOVING_TAG } from '../../support/query-plans/seed-statements.js';
import { digestOf } from '../../support/registry-client.js';

const PAGE = 100;

const bothWays = (sort: string) => [sort, `-${sort}`];
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

interface Counted {
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly tagCount: number;
}

interface PageBody {
  readonly items: readonly Counted[];
  readonly nextCursor: string | null;
}

export function describeAdminLists(registry: PlannedRegistry): void {
  /** The first page, then the second one. */
  const pages = (what: string, path: string, itemsOf: (page: PageBody) => number = () => PAGE) =>
    it.each(['first', 'second'])(`the %s page of ${what}`, async (which) => {
      const url = `${path}${path.includes('?') ? '&' : '?'}limit=${PAGE}`;
      const { nextCursor } = await registry.admin.get<PageBody>(url);
      const wanted = which === 'first' ? url : `${url}&cursor=${nextCursor}`;
      const items = itemsOf(await registry.admin.get<PageBody>(wanted));
      await registry.expectCost(items, () => registry.admin.get(wanted));
    });
  /** Repositories are shown with what they hold, which is counted: of those of the page, and of no other. */
  const held = ({ items }: PageBody) =>
    items.reduce((sum, { tags, manifests, blobs }) => sum + tags + manifests + blobs, 0);
  /** Manifests are shown with how many tags they have, of which a thousand are counted. */
  const withTags = ({ items }: PageBody) => items.reduce((sum, { tagCount }) => sum + 1 + tagCount, 0);

  describe('the admin API', () => {
    pages('repositories', '/repositories', held);
    pages('repositories with a prefix', '/repositories?q=team-5', held);
    for (const sort of ['name', 'pushedAt', 'size'].flatMap(bothWays))
      pages(`tags by ${sort}`, `/repositories/${BIG}/tags?sort=${sort}`);
    for (const sort of ['digest', 'pushedAt', 'size'].flatMap(bothWays))
      pages(`manifests by ${sort}`, `/repositories/${BIG}/manifests?sort=${sort}`, withTags);
    for (const sort of ['id', 'startedAt', 'size'].flatMap(bothWays))
      pages(`uploads by ${sort}`, `/uploads?sort=${sort}`);

    // In the middle of a long history.
    const [since, until] = [daysAgo(3), daysAgo(1)];
    for (const [what, query] of [
      ['', ''],
      [' since a day', `?since=${since}`],
      [' until a day', `?until=${until}`],
      [' in a range of days', `?since=${since}&until=${until}`],
    ] as const) {
      pages(`events of a repository${what}`, `/repositories/${BIG}/events${query}`);
      pages(`events of a tag${what}`, `/repositories/${BIG}/tags/${MOVING_TAG}/events${query}`);
    }
    it('events of an upload', async () => {
      const [upload] = (await registry.admin.get<{ items: { id: string }[] }>('/uploads?limit=1')).items;
      const path = `/uploads/${upload?.id}/events?since=2000-01-01T00:00:00Z`;
      await registry.expectCost(3, () => registry.admin.get(path));
    });

    it('a repository', async () => {
      const path = `/repositories/${registry.smallRepository}`;
      const items = held({ items: [await registry.admin.get<Counted>(path)], nextCursor: null });
      await registry.expectCost(items, () => registry.admin.get(path));
    });
    it('an image', () =>
      registry.expectCost(6, () =>
        registry.admin.get(`/repositories/${BIG}/manifests/${digestOf('manifest 7000')}`),
      ));
    it('an index', () =>
      registry.expectCost(6, () =>
        registry.admin.get(`/repositories/${BIG}/manifests/${digestOf('manifest 7002')}`),
      ));
    it.each([digestOf('1001'), EMPTY_JSON])('the blob %s', (digest) =>
      registry.expectCost(1, () => registry.admin.get(`/repositories/${BIG}/blobs/${digest}`)),
    );
    pages('repositories of a blob that all link', `/blobs/${EMPTY_JSON}/repositories`, () =>
      // A page looks at so many links: the caller may not pull all repositories.
      Math.min(10_000, registry.sizes.filled),
    );
    it('the repository of a blob', () =>
      registry.expectCost(1, () => registry.admin.get(`/blobs/${digestOf('1001')}/repositories`)));
    it('an upload', async () => {
      const location = await registry.client.startUpload(BIG);
      await registry.expectCost(1, () => registry.admin.get(`/uploads/${location.split('/').at(-1)}`));
    });
  });
}
