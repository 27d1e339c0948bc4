import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { expectResponse } from '../../support/query-plans/expect-response.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BIG_REPOSITORY as BIG, EMPTY_JSON } from '../../support/query-plans/seed-statements.js';
import { digestOf } from '../../support/registry-client.js';

const LAYER = 'a layer that is there';
const UNKNOWN = digestOf('unknown');
const AT_ONCE = 100;

/** The tarsum of a seeded blob with this content. */
const tarsum = (content: string) => `tarsum.v1+${digestOf(content)}`;

export function describePulls(registry: PlannedRegistry): void {
  describe('pulls', () => {
    let small: string;

    beforeAll(async () => {
      small = await registry.repositoryOf(registry.sizes.manifests);
      await registry.client.pushBlob(BIG, LAYER);
    });

    const one = (what: string, status: number, path: () => string, init?: RequestInit) =>
      it(`${what}: ${status}`, () =>
        registry.expectCost(1, () => expectResponse(registry.client.fetch(`/v2/${path()}`, init), status)));
    const HEAD = { method: 'HEAD' };

    one('a manifest by tag', 200, () => `${BIG}/manifests/build-7`);
    one('a manifest by tag, in a small repository', 200, () => `${small}/manifests/latest`);
    one('a manifest by digest', 200, () => `${BIG}/manifests/${digestOf('manifest 77')}`);
    one('the head of a manifest by tag', 200, () => `${BIG}/manifests/nightly-500`, HEAD);
    one('the head of a manifest by digest', 200, () => `${BIG}/manifests/${digestOf('manifest 78')}`, HEAD);
    one('a tag that is not there', 404, () => `${BIG}/manifests/nothing`);
    one('a manifest that is not there', 404, () => `${BIG}/manifests/${UNKNOWN}`);
    one('a tag of no repository', 404, () => `no/such/manifests/latest`);
    one('a blob', 200, () => `${BIG}/blobs/${digestOf(LAYER)}`);
    one('a part of a blob', 206, () => `${BIG}/blobs/${digestOf(LAYER)}`, {
      headers: { Range: 'bytes=2-4' },
    });
    one('the head of a blob', 200, () => `${BIG}/blobs/${digestOf('1001')}`, HEAD);
    one('the head of a blob that all link', 200, () => `${small}/blobs/${EMPTY_JSON}`, HEAD);
    const headOf = (digest: string) => () =>
      expectResponse(registry.client.fetch(`/v2/${BIG}/blobs/${digest}`, HEAD), 200);
    const statementsOfHead = async (digest: string) => (await registry.statementsOf(headOf(digest))).length;
    it('take one statement for the head of a blob that the collector keeps for now', async () => {
      expect(await statementsOfHead(digestOf(LAYER))).toBe(1);
    });
    it('take one more if the link has to be renewed', async () => {
      const age = `UPDATE repository_blobs SET candidate_since = now() - interval '30 days'
                    WHERE blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $1)`;
      await registry.look(age, [digestOf(LAYER)]);
      expect(await statementsOfHead(digestOf(LAYER))).toBe(2);
      expect(await statementsOfHead(digestOf(LAYER))).toBe(1);
      await registry.look(age, [digestOf(LAYER)]);
      await registry.expectCost(1, headOf(digestOf(LAYER)));
    });
    it('a blob whose object is lost, and one that is there again', async () => {
      const [lost, back] = [digestOf('1005'), digestOf('1003')];
      await registry.lose(lost);
      const displace = async (digest: string, key: string) => {
        const sql = `INSERT INTO displaced_objects (object_key, blob_id, reason, look_at)
                     SELECT $2, blob_id, 'missing', now() + interval '1 day'
                       FROM blob_digests WHERE digest = $1`;
        await registry.look(sql, [digest, key]);
      };
      await displace(lost, 'blobs/gone');
      await registry.expectCost(1, () =>
        expectResponse(registry.client.fetch(`/v2/${BIG}/blobs/${lost}`, HEAD), 404),
      );
      const path = join(registry.berth.driver.location, 'blobs/back');
      await writeFile(path, '1003');
      await displace(back, 'blobs/back');
      await registry.lose(back);
      await registry.expectCost(1, () =>
        expectResponse(registry.client.fetch(`/v2/${BIG}/blobs/${back}`, HEAD), 200),
      );
    });
    one('a blob by tarsum', 200, () => `${BIG}/blobs/${tarsum('1000')}`, HEAD);
    one('a tarsum that is not there', 404, () => `${BIG}/blobs/${tarsum('unknown')}`);
    one('a tarsum of blobs that others link', 404, () => `${small}/blobs/${tarsum('1000')}`);
    it('a blob that has not changed since a date: 304', () =>
      registry.expectCost(1, () => {
        const headers = { 'If-Modified-Since': 'Fri, 01 Jan 2100 00:00:00 GMT' };
        const path = `/v2/${BIG}/blobs/${digestOf('1001')}`;
        return expectResponse(registry.client.fetch(path, { headers }), 304);
      }));
    one('a blob that others link', 404, () => `${small}/blobs/${digestOf('1001')}`);
    one('a blob that is not there', 404, () => `${BIG}/blobs/${UNKNOWN}`);

    it('many at once, which share queries', () =>
      registry.expectCost(AT_ONCE, () =>
        Promise.all(
          Array.from({ length: AT_ONCE }, async (_, n) => {
            await expectResponse(registry.client.fetch(`/v2/${BIG}/manifests/build-${n + 1}`, HEAD), 200);
            await expectResponse(
              registry.client.fetch(`/v2/${BIG}/manifests/${digestOf(`manifest ${n + 1}`)}`, HEAD),
              200,
            );
            await expectResponse(
              registry.client.fetch(`/v2/${BIG}/blobs/${digestOf(`${2 * n + 3}`)}`, HEAD),
              200,
            );
          }),
        ),
      ));
  });
}
