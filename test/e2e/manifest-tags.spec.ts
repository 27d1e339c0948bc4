import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  refusal,
  RegistryClient,
  specErrors,
} from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('tags of manifests', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  let text: string;
  let digest: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  /** Each test in a repository of its own, with a manifest that is not pushed yet. */
  const inFreshRepository = async () => {
    name = freshName('tags');
    text = JSON.stringify(await client.makeImage(name));
    digest = digestOf(text);
  };
  const pull = (reference: string) => client.fetch(`/v2/${name}/manifests/${reference}`);
  const remove = (reference: string) =>
    client.fetch(`/v2/${name}/manifests/${reference}`, { method: 'DELETE' });
  const put = (reference: string, body = text) => client.putManifest(name, reference, body);
  const tags = async () => {
    const list = (await (await client.fetch(`/v2/${name}/tags/list`)).json()) as { tags: string[] };
    return list.tags;
  };
  const named = (response: Response) => response.headers.get('oci-tag')?.split(/, */) ?? [];

  it('25. all tags that fit the request line are set', async () => {
    await inFreshRepository();
    const wanted = Array.from({ length: 1500 }, (_, index) => `t${index}`).sort();
    const response = await put(`${digest}?${wanted.map((tag) => `tag=${tag}`).join('&')}`);
    expect(response.status).toBe(201);
    expect(named(response).sort()).toEqual(wanted);
    expect(await tags()).toEqual(wanted);
  });

  it('25. PUT <digest>?tag=a&tag=b sets them all, and OCI-Tag names them', async () => {
    await inFreshRepository();
    const wanted = ['1.2.3', '1.2', '1', 'latest'];
    const response = await put(`${digest}?${wanted.map((tag) => `tag=${tag}`).join('&')}`);
    expect([response.status, response.headers.get('docker-content-digest')]).toEqual([201, digest]);
    expect(named(response)).toEqual(wanted);
    expect(await tags()).toEqual([...wanted].sort());
    for (const tag of wanted) expect((await pull(tag)).headers.get('docker-content-digest')).toBe(digest);
  });

  it('25. 60 tags are not too many', async () => {
    await inFreshRepository();
    const wanted = Array.from({ length: 60 }, (_, index) => `tag-${index}`);
    const response = await put(`${digest}?${wanted.map((tag) => `tag=${tag}`).join('&')}`);
    expect(response.status).toBe(201);
    expect(named(response)).toEqual(wanted);
    expect(await tags()).toEqual([...wanted].sort());
  });

  it('25. one tag, and the same one twice', async () => {
    await inFreshRepository();
    expect(named(await put(`${digest}?tag=one`))).toEqual(['one']);
    expect((await put(`${digest}?tag=two&tag=two`)).status).toBe(201);
    expect(await tags()).toEqual(['one', 'two']);
  });

  it('25. with a sha512, and moving tags that are there', async () => {
    await inFreshRepository();
    await put('stays');
    await put('moves');
    const moved = text.replace('{', '{"moved":true,');
    const sha512 = digestOf(moved, 'sha512');
    expect((await put(`${sha512}?tag=moves&tag=new`, moved)).status).toBe(201);
    expect(await (await pull('moves')).text()).toBe(moved);
    expect((await pull('new')).headers.get('docker-content-digest')).toBe(sha512);
    expect(await (await pull('stays')).text()).toBe(text);
  });

  it.each(['-bad', '.', 'a/b', 'a%20b', '', 'x'.repeat(129), 'a%00'])(
    '25. all or nothing: a bad tag (%s) sets none of them',
    async (bad) => {
      await inFreshRepository();
      expect(await refusal(await put(`${digest}?tag=good&tag=${bad}`))).toBe('400 MANIFEST_INVALID');
      expect((await pull('good')).status).toBe(404);
      expect((await pull(digest)).status).toBe(404);
    },
  );

  it('25. a manifest that is refused sets none of them', async () => {
    await inFreshRepository();
    await put('good');
    const invalid = text.replace(digestOf('layer'), digestOf('missing'));
    const response = await put(`${digestOf(invalid)}?tag=good&tag=other`, invalid);
    expect(await refusal(response)).toBe('404 MANIFEST_BLOB_UNKNOWN');
    expect(await tags()).toEqual(['good']);
    expect(await (await pull('good')).text()).toBe(text);
  });

  it('25. without tags there is no OCI-Tag', async () => {
    await inFreshRepository();
    expect((await put(digest)).headers.has('oci-tag')).toBe(false);
    expect(await tags()).toEqual([]);
  });

  it('25. many pushes of overlapping tags at once all end, and each tag points at one of them', async () => {
    await inFreshRepository();
    const bodies = Array.from({ length: 8 }, (_, index) => text.replace('{', `{"push":${index},`));
    const responses = await Promise.all(
      bodies.map((body, index) => {
        const order = index % 2 === 0 ? 'tag=a&tag=b&tag=c' : 'tag=c&tag=b&tag=a';
        return put(`${digestOf(body)}?${order}`, body);
      }),
    );
    expect(responses.map(({ status }) => status)).toEqual(bodies.map(() => 201));
    // Each push is one transaction: the tags were moved together.
    const heads = await Promise.all(['a', 'b', 'c'].map(async (tag) => (await pull(tag)).text()));
    expect(new Set(heads).size).toBe(1);
    expect(bodies).toContain(heads[0]);
  });

  it('26. DELETE of a tag → 202, at once 404; manifest and other tags stay', async () => {
    await inFreshRepository();
    await put('one');
    await put('two');
    expect((await remove('one')).status).toBe(202);
    expect(await refusal(await pull('one'))).toBe('404 MANIFEST_UNKNOWN');
    expect(await refusal(await remove('one'))).toBe('404 MANIFEST_UNKNOWN');
    expect(await tags()).toEqual(['two']);
    for (const reference of ['two', digest]) expect(await (await pull(reference)).text()).toBe(text);
  });

  it('26. DELETE of a digest → 202, at once 404, its tags with it and no others', async () => {
    await inFreshRepository();
    const other = text.replace('{', '{"other":true,');
    await put('one');
    await put('two');
    await put('other', other);
    expect((await remove(digest)).status).toBe(202);
    for (const reference of ['one', 'two', digest]) {
      expect(await refusal(await pull(reference))).toBe('404 MANIFEST_UNKNOWN');
    }
    expect(await refusal(await remove(digest))).toBe('404 MANIFEST_UNKNOWN');
    expect(await tags()).toEqual(['other']);
    expect(await (await pull('other')).text()).toBe(other);
  });

  it('26. a deleted manifest can be pushed again', async () => {
    await inFreshRepository();
    await put('back');
    await remove(digest);
    expect((await put('back')).status).toBe(201);
    expect(await (await pull('back')).text()).toBe(text);
  });

  it('26. DELETE of a manifest that an index lists → 405, which names the index; then 202', async () => {
    await inFreshRepository();
    await put(digest);
    const manifests = [{ mediaType: OCI_MANIFEST, digest, size: text.length }];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    expect((await client.putManifest(name, 'index', index, { 'Content-Type': OCI_INDEX })).status).toBe(201);
    const refused = await remove(digest);
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD, PUT']);
    const detail = { manifest: digestOf(index) };
    expect(await specErrors(refused)).toMatchObject([{ code: 'DENIED', detail }]);
    expect(await (await pull(digest)).text()).toBe(text);
    expect((await remove(digestOf(index))).status).toBe(202);
    expect((await remove(digest)).status).toBe(202);
    expect(await refusal(await pull(digest))).toBe('404 MANIFEST_UNKNOWN');
  });

  it('26. DELETE of an unknown manifest → 404; in an unknown repository NAME_UNKNOWN', async () => {
    await inFreshRepository();
    expect(await refusal(await remove('never'))).toBe('404 MANIFEST_UNKNOWN');
    expect(await refusal(await remove(digestOf('never')))).toBe('404 MANIFEST_UNKNOWN');
    name = freshName('nowhere');
    expect(await refusal(await remove('never'))).toBe('404 NAME_UNKNOWN');
    expect(await refusal(await remove(digestOf('never')))).toBe('404 NAME_UNKNOWN');
  });
});
