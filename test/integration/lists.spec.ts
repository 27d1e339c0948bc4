import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

/** Sorted by bytes. Every human collation sorts differently. */
const TAGS = ['-', '0', '1.0', '10', '2', 'A', 'Z', '_x', 'a', 'aB', 'a_b', 'ab', 'z'].slice(1);
const REPOSITORIES = ['a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'a0', 'a_b', 'b', 'z/z'];

describe('lists', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  const name = 'a/b';

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
    for (const repository of [...REPOSITORIES].reverse()) await client.pushBlob(repository, repository);
    const image = JSON.stringify(await client.makeImage(name));
    const query = [...TAGS].reverse().map((tag) => `tag=${tag}`);
    await client.putManifest(name, `${digestOf(image)}?${query.join('&')}`, image);
  });
  afterAll(() => berth.dispose());

  /** Returns the items of one page and the Link to the next one. */
  async function page(path: string): Promise<{ items: string[]; next: string | undefined }> {
    const response = await client.fetch(path);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json']);
    const body = (await response.json()) as { name?: string; tags?: string[]; repositories?: string[] };
    if (body.tags !== undefined) expect(Object.keys(body)).toEqual(['name', 'tags']);
    const link = response.headers.get('link');
    const next = link === null ? undefined : /^<(\/v2\/[^>]+)>; rel="next"$/.exec(link)?.[1];
    if (link !== null) expect(next).toBeDefined();
    return { items: body.tags ?? body.repositories ?? [], next };
  }

  async function follow(first: string): Promise<{ items: string[]; links: string[] }> {
    const [items, links]: [string[], string[]] = [[], []];
    for (let at: string | undefined = first; at !== undefined;) {
      const { items: some, next } = await page(at);
      items.push(...some);
      if (next !== undefined) links.push(next);
      at = next;
    }
    return { items, links };
  }

  describe.each([
    ['tags', `/v2/${name}/tags/list`, TAGS],
    ['catalog', '/v2/_catalog', REPOSITORIES],
  ])('%s', (_, list, all) => {
    it('30. all at once, in the order of bytes, without n', async () => {
      expect(await page(list)).toEqual({ items: all, next: undefined });
    });

    it.each([1, 2, 5])('30. in pages of %d, by Link, with n and last kept', async (n) => {
      const { items, links } = await follow(`${list}?n=${n}`);
      expect(items).toEqual(all);
      const lasts = all.filter((_, index) => (index + 1) % n === 0 && index + 1 < all.length);
      expect(links).toEqual(
        lasts.map((last) => `${list}?${new URLSearchParams({ n: `${n}`, last }).toString()}`),
      );
    });

    it('30. a page that holds the last entry has no Link', async () => {
      for (const n of [all.length, all.length + 1]) {
        expect(await page(`${list}?n=${n}`)).toEqual({ items: all, next: undefined });
      }
      expect((await page(`${list}?n=${all.length - 1}`)).next).toBeDefined();
    });

    it('30. last is exclusive, and valid without n', async () => {
      expect((await page(`${list}?last=${encodeURIComponent(all[2]!)}`)).items).toEqual(all.slice(3));
      expect((await page(`${list}?n=2&last=${encodeURIComponent(all[2]!)}`)).items).toEqual(all.slice(3, 5));
    });

    it('30. a last that does not exist is still a position in the order', async () => {
      expect((await page(`${list}?last=${encodeURIComponent(`${all[3]}0000`)}`)).items[0]).toBe(
        all.find((item) => Buffer.compare(Buffer.from(item), Buffer.from(`${all[3]}0000`)) > 0),
      );
      expect((await page(`${list}?last=~`)).items).toEqual([]);
      expect((await page(`${list}?last=`)).items).toEqual(all);
      expect((await page(`${list}?last=${encodeURIComponent('\u{10ffff}')}`)).items).toEqual([]);
    });

    it('30. n=0 → [] and no Link', async () => {
      expect(await page(`${list}?n=0`)).toEqual({ items: [], next: undefined });
    });

    it('30. an n or a last without a value counts as absent', async () => {
      expect(await page(`${list}?n=&last=`)).toEqual({ items: all, next: undefined });
      expect(await page(`${list}?n`)).toEqual({ items: all, next: undefined });
    });

    it('30. an n above the limit means the limit', async () => {
      expect((await page(`${list}?n=99999999999999999999999`)).items).toEqual(all);
    });

    it.each(['-1', 'a', '1.5', '1e3', '0x10', '+1', '%201', '1&n=2'])('30. n=%s is a 400', async (n) => {
      expect(await refusal(await client.fetch(`${list}?n=${n}`))).toBe('400 UNSUPPORTED');
    });

    it('30. a last with a NUL is a 400', async () => {
      expect(await refusal(await client.fetch(`${list}?last=a%00b`))).toBe('400 UNSUPPORTED');
    });

    it('30. HEAD has the headers of the list', async () => {
      const response = await client.fetch(`${list}?n=1`, { method: 'HEAD' });
      expect([response.status, await response.text()]).toEqual([200, '']);
      expect(response.headers.get('link')).toContain('rel="next"');
    });
  });

  it('30. a repository without tags has the list []', async () => {
    expect(await (await client.fetch('/v2/z/z/tags/list')).json()).toEqual({ name: 'z/z', tags: [] });
  });

  it('30. the list of a repository that does not exist is NAME_UNKNOWN', async () => {
    expect(await refusal(await client.fetch(`/v2/${freshName()}/tags/list`))).toBe('404 NAME_UNKNOWN');
    expect(await refusal(await client.fetch(`/v2/${freshName()}/tags/list?n=0`))).toBe('404 NAME_UNKNOWN');
  });

  it('30. a client that asks for no pages gets a thousand tags at once', async () => {
    const repository = freshName('many');
    const image = JSON.stringify(await client.makeImage(repository));
    const wanted = Array.from({ length: 1_000 }, (_, index) => `t${String(index).padStart(4, '0')}`);
    for (let start = 0; start < wanted.length; start += 250) {
      const query = wanted.slice(start, start + 250).map((tag) => `tag=${tag}`);
      const { status } = await client.putManifest(repository, `${digestOf(image)}?${query.join('&')}`, image);
      expect(status).toBe(201);
    }
    expect(await page(`/v2/${repository}/tags/list`)).toEqual({ items: wanted, next: undefined });
    await client.fetch(`/v2/${repository}/manifests/${digestOf(image)}`, { method: 'DELETE' });
  });
});
