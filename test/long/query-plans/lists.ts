import { describe, it } from '@jest/globals';
import { expectResponse } from '../../support/query-plans/expect-response.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BIG_REPOSITORY as BIG, RARE_TYPE } from '../../support/query-plans/seed-statements.js';
import { digestOf } from '../../support/registry-client.js';

const PAGE = 100;
const MIDDLE = digestOf('the middle').replace(/:.*/, ':8');

export function describeLists(registry: PlannedRegistry): void {
  const page = (what: string, items: number, path: () => string, status = 200) =>
    it(what, () => registry.expectCost(items, () => expectResponse(registry.client.fetch(path()), status)));

  describe('tags', () => {
    const list = (name: string, query: string) => `/v2/${name}/tags/list?${query}`;

    page('the first page', PAGE, () => list(BIG, `n=${PAGE}`));
    page('a page in the middle', PAGE, () => list(BIG, `n=${PAGE}&last=build-5`));
    page('the last page', PAGE, () => list(BIG, `n=${PAGE}&last=zzz`));
    page('no page at all', 0, () => list(BIG, 'n=0'));
    page('all of a small repository', PAGE, () => list('team-2/service-2', `n=${PAGE}`));
    page('all of a repository that has none', PAGE, () => list(registry.emptyRepository, `n=${PAGE}`));
    page('no repository', 1, () => list('no/such', `n=${PAGE}`), 404);
    page('as many as there are', 100_000, () => list(BIG, ''));
  });

  describe('the catalog', () => {
    page('the first page', PAGE, () => `/v2/_catalog?n=${PAGE}`);
    page('a page in the middle', PAGE, () => `/v2/_catalog?n=${PAGE}&last=team-5`);
    page('the last page', PAGE, () => `/v2/_catalog?n=${PAGE}&last=zzz`);
    page('as many as there are', 100_000, () => `/v2/_catalog`);
  });

  describe('referrers', () => {
    const subject = () => registry.subject;
    const list = (name: string, digest: string, query: string) => `/v2/${name}/referrers/${digest}?${query}`;
    const type = (name: string) => `artifactType=${encodeURIComponent(name)}`;

    page('the first page of many', PAGE, () => list(BIG, subject(), `n=${PAGE}`));
    page('a page in the middle of many', PAGE, () => list(BIG, subject(), `n=${PAGE}&last=${MIDDLE}`));
    page('of a common type', PAGE, () => list(BIG, subject(), `n=${PAGE}&${type('application/spdx+json')}`));
    page('of a rare type', PAGE, () => list(BIG, subject(), `n=${PAGE}&${type(RARE_TYPE)}`));
    page('of no type that is there', PAGE, () => list(BIG, subject(), `n=${PAGE}&${type('no/type')}`));
    page('of a rare type, in the middle', PAGE, () =>
      list(BIG, subject(), `n=${PAGE}&last=${MIDDLE}&${type(RARE_TYPE)}`),
    );
    page('a few', PAGE, () => list('team-2/service-2', digestOf('subject 600'), `n=${PAGE}`));
    page('none', PAGE, () => list(BIG, digestOf('subject of nothing'), `n=${PAGE}`));
    page('of no repository', PAGE, () => list('no/such', subject(), `n=${PAGE}`));
    page('as many as one page may have', 1_000, () => list(BIG, subject(), ''));
  });
}
