import { describe, it } from '@jest/globals';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BIG_REPOSITORY as BIG } from '../../support/query-plans/seed-statements.js';
import { digestOf } from '../../support/registry-client.js';

const PAGE = 100;

interface Counted {
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
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

  describe('the admin API', () => {
    pages('repositories', '/repositories', held);
    pages('repositories with a prefix', '/repositories?q=team-5', held);
    pages('tags', `/repositories/${BIG}/tags`);
    pages('manifests', `/repositories/${BIG}/manifests`);
    pages('uploads', '/uploads');

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
    it('an upload', async () => {
      const location = await registry.client.startUpload(BIG);
      await registry.expectCost(1, () => registry.admin.get(`/uploads/${location.split('/').at(-1)}`));
    });
  });
}
