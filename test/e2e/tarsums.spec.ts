import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { freshName } from '../support/fresh-name.js';
import { digestOf, refusal, RegistryClient, specErrors } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { tarEntry, tarOf, tarsumOf } from '../support/tar-archive.js';
import { inQuery, tarLayer } from '../support/tar-layer.js';
import { expectPushOf2014, statusAndDigest } from '../support/tarsum-pushes.js';

describe('tarsums', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('tarsums');
  });

  const post = (query: string, body: Uint8Array, repository = name) =>
    client.fetch(`/v2/${repository}/blobs/uploads/?${query}`, { method: 'POST', body: Buffer.from(body) });
  const put = (location: string, query: string, body?: Uint8Array) =>
    client.fetch(`${location}${location.includes('?') ? '&' : '?'}${query}`, {
      method: 'PUT',
      body: body === undefined ? null : Buffer.from(body),
    });
  const blob = (digest: string, init: RequestInit = {}, repository = name) =>
    client.fetch(`/v2/${repository}/blobs/${digest}`, init);
  const messageOf = async (response: Response) => {
    const [error] = await specErrors(response);
    return `${response.status} ${error?.code}: ${error?.message}`;
  };

  it('are verified in a single POST, alone or with other digests, and find the blob', async () => {
    const { bytes, sha256, v0, v1 } = tarLayer();
    const sha512 = digestOf(bytes, 'sha512');
    const all = inQuery(v1, sha256, v0, sha512);
    for (const query of [inQuery(v1), all]) {
      const response = await post(query, bytes);
      expect(statusAndDigest(response)).toEqual([201, sha256]);
      expect(response.headers.get('location')).toBe(`/v2/${name}/blobs/${sha256}`);
    }
    for (const digest of [v1, v0, encodeURIComponent(v1)]) {
      const response = await blob(digest);
      expect(statusAndDigest(response)).toEqual([200, sha256]);
      expect(response.headers.get('etag')).toBe(`"${sha256}"`);
      expect(response.headers.get('cache-control')).toBe('no-cache');
      expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes);
    }
  });

  it('are verified like in 2014: HEAD 404, POST, PATCH, PUT with both digests, HEAD, ranged GET', () =>
    expectPushOf2014(client, name));

  it.each([
    ['announced, all bytes in one PATCH', '?digest-algorithm=tarsum.v1%2Bsha256', 1],
    ['announced with a plain +', '?digest-algorithm=tarsum.v1+sha256', 1],
    ['announced, in several', '?digest-algorithm=tarsum.v1%2Bsha256', 3],
    ['not announced', '', 2],
    ['beside an announced sha512', '?digest-algorithm=sha512', 2],
  ])('are verified at the end of an upload: %s', async (_, query, parts) => {
    const { bytes, sha256, v1 } = tarLayer();
    const location = await client.startUpload(name, query);
    for (let at = 0; at < parts; at += 1) {
      const [start, end] = [at, at + 1].map((part) => Math.floor((part * bytes.length) / parts));
      expect((await client.patch(location, bytes.subarray(start, end))).status).toBe(202);
    }
    expect(await refusal(await put(location, inQuery(v1.replace(/.$/, v1.endsWith('0') ? '1' : '0'))))).toBe(
      '400 DIGEST_INVALID',
    );
    expect(statusAndDigest(await put(location, inQuery(v1)))).toEqual([201, sha256]);
  });

  it('are verified of a PUT with the body, and of one that resumes', async () => {
    const { bytes, sha256, v1 } = tarLayer();
    const whole = await client.startUpload(name);
    expect(statusAndDigest(await put(whole, inQuery(v1), bytes))).toEqual([201, sha256]);
    const resumed = await client.startUpload(name);
    await client.patch(resumed, bytes.subarray(0, 700));
    expect(statusAndDigest(await put(resumed, inQuery(v1), bytes.subarray(700)))).toEqual([201, sha256]);
  });

  it('read a space in the query as +', async () => {
    const { bytes, sha256, v1 } = tarLayer();
    expect(statusAndDigest(await post(`digest=${v1}`, bytes))).toEqual([201, sha256]);
    const location = await client.startUpload(name);
    expect(statusAndDigest(await put(location, `digest=${v1}`, bytes))).toEqual([201, sha256]);
  });

  it('exist for an empty upload', async () => {
    const v1 = tarsumOf(1, []);
    const location = await client.startUpload(name);
    expect(statusAndDigest(await put(location, inQuery(v1)))).toEqual([201, digestOf('')]);
  });

  it('that do not match are refused with both values, of the first one that does not', async () => {
    const { bytes, sha256, v1 } = tarLayer();
    const other = tarLayer();
    const location = await client.startUpload(name);
    await client.patch(location, bytes);
    const size = bytes.length;
    expect(await messageOf(await put(location, inQuery(v1, other.sha256, other.v0)))).toBe(
      `400 DIGEST_INVALID: the upload's ${size} bytes have the digest ${sha256}, not ${other.sha256}`,
    );
    expect(await messageOf(await put(location, inQuery(sha256, other.v1)))).toBe(
      `400 DIGEST_INVALID: the upload's ${size} bytes have the digest ${v1}, not ${other.v1}`,
    );
    expect(statusAndDigest(await put(location, inQuery(v1)))).toEqual([201, sha256]);
  });

  it.each([
    ['a compressed layer', gzipSync(tarOf(tarEntry({ name: 'file' }))), 'the last entry is truncated'],
    [
      'a path that occurs twice',
      tarOf(tarEntry({ name: 'a' }), tarEntry({ name: './a' })),
      'a path occurs twice',
    ],
    ['no tar', Buffer.alloc(512, 1), 'a number in a header is not octal'],
  ])('are refused for %s, whose bytes stay', async (_, bytes, reason) => {
    const location = await client.startUpload(name);
    expect(await messageOf(await put(location, inQuery(tarsumOf(1, [])), bytes))).toBe(
      `400 DIGEST_INVALID: the upload's ${bytes.length} bytes have no tarsum: ${reason}`,
    );
    expect(statusAndDigest(await put(location, inQuery(digestOf(bytes))))).toEqual([201, digestOf(bytes)]);
  });

  it.each([
    'tarsum.dev+sha256:' + '0'.repeat(64),
    'tarsum.v1+sha512:' + '0'.repeat(128),
    'tarsum.v1+sha256:',
    'tarsum',
  ])('%s is malformed', async (digest) => {
    const location = await client.startUpload(name);
    expect(await refusal(await put(location, inQuery(digest)))).toBe('400 DIGEST_INVALID');
    expect(await refusal(await post(inQuery(digest), Buffer.of()))).toBe('400 DIGEST_INVALID');
    expect(await refusal(await blob(digest))).toBe('400 DIGEST_INVALID');
    const [algorithm = ''] = digest.split(':0');
    const start = `/v2/${name}/blobs/uploads/?digest-algorithm=${encodeURIComponent(algorithm)}`;
    expect(await refusal(await client.fetch(start, { method: 'POST' }))).toBe('400 DIGEST_INVALID');
  });

  it('more than four digests are refused', async () => {
    const { bytes, sha256 } = tarLayer();
    expect(await refusal(await post(inQuery(...Array<string>(5).fill(sha256)), bytes))).toBe(
      '400 DIGEST_INVALID',
    );
  });

  it('name the blob of the own repository, the one that it has had longest', async () => {
    const entry = tarEntry({ name: 'shared', body: randomBytes(100) });
    const [first, second, third] = [0, 1024, 2048].map((size) => Buffer.concat([entry, Buffer.alloc(size)]));
    const bytes = [first, second, third].map((each) => each ?? Buffer.of());
    const v1 = await tarsumFrom(bytes[0]);
    const [one, two] = [freshName('one'), freshName('two')];
    for (const [index, repository] of [one, two, one].entries()) {
      expect((await post(inQuery(v1), bytes[index] ?? Buffer.of(), repository)).status).toBe(201);
    }
    const digestIn = async (repository: string) =>
      statusAndDigest(await blob(v1, { method: 'HEAD' }, repository))[1];
    expect(await digestIn(one)).toBe(digestOf(bytes[0] ?? ''));
    expect(await digestIn(two)).toBe(digestOf(bytes[1] ?? ''));
    expect((await blob(v1, {}, freshName('three'))).status).toBe(404);

    const key = { 'Idempotency-Key': freshName('key') };
    const deletion = { method: 'DELETE', headers: key };
    expect((await blob(v1, deletion, one)).status).toBe(202);
    expect((await blob(v1, deletion, one)).status).toBe(202);
    expect(await digestIn(one)).toBe(digestOf(bytes[2] ?? ''));
    expect((await blob(v1, { method: 'DELETE' }, two)).status).toBe(202);
    expect((await blob(v1, { method: 'DELETE' }, two)).status).toBe(404);
  });

  /** The tarsum that Berth has for these bytes: it is in the refusal of another one. */
  async function tarsumFrom(bytes = Buffer.of()): Promise<string> {
    const response = await post(inQuery(`tarsum.v1+sha256:${'0'.repeat(64)}`), bytes);
    const [error] = await specErrors(response);
    return (error?.detail as { received: string }).received;
  }

  it('mount a blob from a repository that is named, and from no other', async () => {
    const { bytes, sha256, v1 } = tarLayer();
    const target = freshName('mounted');
    await post(inQuery(v1), bytes);
    const mount = `/v2/${target}/blobs/uploads/?mount=${encodeURIComponent(v1)}`;
    expect((await client.fetch(mount, { method: 'POST' })).status).toBe(202);
    expect((await client.fetch(`${mount}&from=${target}`, { method: 'POST' })).status).toBe(202);
    expect(statusAndDigest(await client.fetch(`${mount}&from=${name}`, { method: 'POST' }))).toEqual([
      201,
      sha256,
    ]);
    expect(statusAndDigest(await blob(v1, {}, target))).toEqual([200, sha256]);
  });

  it('name no manifest and no descriptor', async () => {
    const { v1 } = tarLayer();
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: v1, size: 2 },
      layers: [],
    });
    const push = (reference: string) =>
      client.fetch(`/v2/${name}/manifests/${reference}`, {
        method: 'PUT',
        body: manifest,
        headers: { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' },
      });
    expect((await push('latest')).status).toBe(400);
    expect((await push(v1)).status).toBe(400);
  });

  it('have no conditions by date: another blob may have the same', async () => {
    const { bytes, v1 } = tarLayer();
    await post(inQuery(v1), bytes);
    const since = { 'If-Modified-Since': 'Fri, 01 Jan 2100 00:00:00 GMT' };
    expect((await blob(v1, { headers: since })).status).toBe(200);
    const tag = { 'If-None-Match': `"${digestOf(bytes)}"` };
    expect((await blob(v1, { headers: tag })).status).toBe(304);
  });

  it('are in the admin API: a blob with all digests, and where it is', async () => {
    const { bytes, sha256, v0, v1 } = tarLayer();
    const names = [freshName('first'), freshName('second')];
    for (const each of names) await post(inQuery(v1, v0), bytes, each);
    const get = async (path: string) => (await client.fetch(`/api/v1/${path}`)).json();
    const expected = {
      digest: sha256,
      digests: [sha256, v0, v1],
      sizeBytes: bytes.length,
      linkedAt: expect.any(String),
    };
    expect(await get(`repositories/${names[0]}/blobs/${sha256}`)).toEqual(expected);
    expect(await get(`repositories/${encodeURIComponent(names[1] ?? '')}/blobs/${v1}`)).toEqual(expected);
    expect(await get(`repositories/${name}/blobs/${sha256}`)).toMatchObject({ status: 404 });
    expect(await get(`repositories/${name}/blobs/md5:00`)).toMatchObject({ status: 400 });

    const items = names.map((each) => ({ name: each, linkedAt: expect.any(String) }));
    expect(await get(`blobs/${sha256}/repositories`)).toEqual({ items, nextCursor: null });
    const page = (await get(`blobs/${sha256}/repositories?limit=1`)) as { nextCursor: string };
    expect(page).toEqual({ items: items.slice(0, 1), nextCursor: expect.any(String) });
    const next = await get(`blobs/${sha256}/repositories?limit=1&cursor=${page.nextCursor}`);
    expect(next).toEqual({ items: items.slice(1), nextCursor: null });
    expect(await get(`blobs/${digestOf(randomBytes(9))}/repositories`)).toEqual({
      items: [],
      nextCursor: null,
    });
    expect(await get(`blobs/${v1}/repositories`)).toMatchObject({ status: 400 });
  });
});
