import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { partsOf } from '../support/multipart-parts.js';
import { contentHeaders, digestOf, refusal, RegistryClient, specErrors } from '../support/registry-client.js';
import { rawRequest } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('blobs', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  const BYTES = Buffer.from('0123456789abcdefghij');
  const SIZE = BYTES.length;
  const DIGEST = digestOf(BYTES);
  const ETAG = `"${DIGEST}"`;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('blobs');
    await client.pushBlob(name, BYTES);
  });

  const get = (headers: Record<string, string> = {}, method = 'GET') =>
    client.fetch(`/v2/${name}/blobs/${DIGEST}`, { method, headers });

  it('14. GET returns the bytes with length, digest and entity tag, cacheable forever', async () => {
    const response = await get();
    expect(response.status).toBe(200);
    expect(contentHeaders(response)).toEqual({
      'accept-ranges': 'bytes',
      'cache-control': expect.stringMatching(/max-age=31536000.*immutable/),
      'content-length': String(SIZE),
      'content-type': 'application/octet-stream',
      'docker-content-digest': DIGEST,
      'docker-distribution-api-version': 'registry/2.0',
      etag: ETAG,
      'last-modified': expect.stringMatching(/^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/),
    });
    expect(Buffer.from(await response.arrayBuffer())).toEqual(BYTES);
  });

  it('14. HEAD has the same headers and no body', async () => {
    const [head, whole] = await Promise.all([get({}, 'HEAD'), get()]);
    expect(head.status).toBe(200);
    expect(contentHeaders(head)).toEqual(contentHeaders(whole));
    expect(await head.text()).toBe('');
  });

  it('14. HEAD of an unknown blob has the status of GET and no body', async () => {
    const response = await client.fetch(`/v2/${name}/blobs/${digestOf('not there')}`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([404, '']);
  });

  it('14. HEAD takes no Range', async () => {
    const response = await get({ Range: 'bytes=0-3' }, 'HEAD');
    expect([response.status, response.headers.get('content-length')]).toEqual([200, String(SIZE)]);
  });

  it('14. several readers at once each get a large blob whole', async () => {
    const large = randomBytes(5_000_000);
    const digest = await client.pushBlob(name, large);
    const pulled = await Promise.all(Array.from({ length: 3 }, () => client.blob(name, digest)));
    for (const bytes of pulled) expect(digestOf(bytes)).toBe(digest);
  });

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=2-5', 2, 5],
    ['bytes=2-', 2, SIZE - 1],
    ['bytes=-3', SIZE - 3, SIZE - 1],
    ['bytes=-500', 0, SIZE - 1],
    ['bytes=5-500', 5, SIZE - 1],
    [`bytes=${SIZE - 1}-`, SIZE - 1, SIZE - 1],
    ['BYTES=1-2', 1, 2],
  ])('15. Range: %s → 206 with Content-Range and the exact length', async (range, start, end) => {
    const response = await get({ Range: range });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end}/${SIZE}`);
    expect(response.headers.get('content-length')).toBe(String(end - start + 1));
    expect(response.headers.get('docker-content-digest')).toBe(DIGEST);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(BYTES.subarray(start, end + 1));
  });

  it.each([
    'bytes=5-0',
    `bytes=${SIZE}-`,
    `bytes=${SIZE}-${SIZE + 5}`,
    'bytes=99999999999999999999-',
    'bytes=-0',
  ])('15. Range: %s → 416 with the size', async (range) => {
    const response = await get({ Range: range });
    expect(response.headers.get('content-range')).toBe(`bytes */${SIZE}`);
    expect(await refusal(response)).toBe('416 SIZE_INVALID');
  });

  it.each(['lines=0-3', 'bytes=a-b', 'bytes', 'bytes=', 'bytes=-', 'bytes=0-1,4-5', '0-3', 'bytes=1-2-3'])(
    '15. Range: %s is ignored, as RFC 9110 lets a server do',
    async (range) => {
      const response = await get({ Range: range });
      expect([response.status, await response.text()]).toEqual([200, String(BYTES)]);
    },
  );

  it.each(['bytes=0-', 'bytes=-5', 'bytes=5-0', 'bytes=0-0,2-3'])(
    '15. Range: %s of the empty blob is ignored',
    async (range) => {
      const path = `/v2/${name}/blobs/${await client.pushBlob(name, '')}`;
      const response = await client.fetch(path, { headers: { Range: range } });
      expect([response.status, response.headers.get('content-length')]).toEqual([200, '0']);
      expect(response.headers.has('content-range')).toBe(false);
    },
  );

  // Small blobs are served from memory.
  describe.each([20_000, 2_000_000])('several ranges of %d bytes', (size) => {
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    const last = size - 1;
    beforeAll(() => client.pushBlob(name, bytes));

    const fetchRanges = (specs: string, headers: Record<string, string> = {}, method = 'GET') =>
      client.fetch(`/v2/${name}/blobs/${digest}`, {
        method,
        headers: { Range: `bytes=${specs}`, ...headers },
      });
    /** Of each span, as `first-last`, the part that the response should have. */
    const expectedParts = (spans: string[]) =>
      spans.map((span) => {
        const [first = 0, end = 0] = span.split('-').map(Number);
        return {
          type: 'application/octet-stream',
          range: `bytes ${span}/${size}`,
          bytes: bytes.subarray(first, end + 1),
        };
      });

    it.each([
      ['0-99,500-599', ['0-99', '500-599']],
      ['5000-5999,0-0,-10', ['5000-5999', '0-0', `${last - 9}-${last}`]],
      ['0-99,1000-1099,50-149,149-199', ['0-199', '1000-1099']],
      ['0-99,100-199,200-299', ['0-99', '100-199', '200-299']],
      [`0-9,${size}-,10000-10009,-0`, ['0-9', '10000-10009']],
    ] as [string, string[]][])('15. %s → 206 with the parts %j', async (specs, spans) => {
      const response = await fetchRanges(specs);
      expect(response.status).toBe(206);
      expect(response.headers.has('content-range')).toBe(false);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
      expect(response.headers.get('etag')).toBe(`"${digest}"`);
      const body = Buffer.from(await response.arrayBuffer());
      expect(response.headers.get('content-length')).toBe(String(body.length));
      expect(partsOf(response.headers.get('content-type'), body)).toEqual(expectedParts(spans));
    });

    it.each([
      ['0-100,100-199', '0-199'],
      [`10-19,${size}-`, '10-19'],
      ['0-9,0-9', '0-9'],
      [`0-9,5-${last}`, `0-${last}`],
    ])('15. %s → 206 with the one range %s', async (specs, span) => {
      const response = await fetchRanges(specs);
      expect(response.status).toBe(206);
      const [part] = expectedParts([span]);
      expect(response.headers.get('content-type')).toBe(part?.type);
      expect(response.headers.get('content-range')).toBe(part?.range);
      expect(Buffer.from(await response.arrayBuffer()).equals(part?.bytes ?? BYTES)).toBe(true);
    });

    it.each([`${size}-,-0`, '0-9,9-5'])('15. %s → 416 with the size', async (specs) => {
      const response = await fetchRanges(specs);
      expect(response.headers.get('content-range')).toBe(`bytes */${size}`);
      expect(await refusal(response)).toBe('416 SIZE_INVALID');
    });

    it.each([
      [
        'more ranges than the maximum',
        Array.from({ length: 1_025 }, (_, index) => index * 2)
          .map((at) => `${at}-${at}`)
          .join(),
      ],
      ['ranges that cost more than the whole', `0-${size / 2},${size / 2 + 10}-`],
      ['a syntax error', '0-9,a-b'],
    ])('15. %s → 200 with the whole blob', async (_, specs) => {
      const response = await fetchRanges(specs);
      expect(response.status).toBe(200);
      expect(digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(digest);
    });

    it('15. as many ranges as podman sends, of a position each', async () => {
      const step = Math.floor(size / 1024);
      const spans = Array.from({ length: 1024 }, (_, index) => `${index * step}-${index * step}`);
      const response = await fetchRanges(spans.join());
      const body = Buffer.from(await response.arrayBuffer());
      if (size < 100_000) return expect([response.status, body.length]).toEqual([200, size]);
      expect(partsOf(response.headers.get('content-type'), body)).toEqual(expectedParts(spans));
    });

    it('15. a HEAD has no ranges, and If-Range and If-None-Match come first', async () => {
      const head = await fetchRanges('0-9,100-109', {}, 'HEAD');
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(size)]);
      expect((await fetchRanges('0-9,100-109', { 'If-Range': '"another"' })).status).toBe(200);
      expect((await fetchRanges('0-9,100-109', { 'If-Range': `"${digest}"` })).status).toBe(206);
      expect((await fetchRanges('0-9,100-109', { 'If-None-Match': `"${digest}"` })).status).toBe(304);
    });
  });

  it('15. If-Range lets a Range apply while the entity tag is the same', async () => {
    expect((await get({ Range: 'bytes=0-3', 'If-Range': ETAG })).status).toBe(206);
    for (const other of [`"${digestOf('other')}"`, `W/${ETAG}`, 'Wed, 21 Oct 2015 07:28:00 GMT']) {
      const response = await get({ Range: 'bytes=0-3', 'If-Range': other });
      expect([response.status, await response.text()]).toEqual([200, String(BYTES)]);
    }
  });

  it.each([ETAG, DIGEST, `W/${ETAG}`, `"x", ${ETAG}`, '*'])(
    '15. If-None-Match: %s → 304 without a body',
    async (tag) => {
      for (const method of ['GET', 'HEAD']) {
        const response = await get({ 'If-None-Match': tag }, method);
        expect([response.status, await response.text()]).toEqual([304, '']);
        expect(response.headers.get('etag')).toBe(ETAG);
      }
    },
  );

  describe('dates', () => {
    let modified: string;
    const EARLIER = 'Thu, 01 Jan 2026 00:00:00 GMT';
    const LATER = 'Fri, 01 Jan 2100 00:00:00 GMT';
    beforeAll(async () => {
      modified = (await get()).headers.get('last-modified') ?? '';
    });

    it('14. Last-Modified is when this repository got the blob, also after another push', async () => {
      const other = freshName('later');
      await client.fetch(`/v2/${other}/blobs/uploads/?mount=${DIGEST}&from=${name}`, { method: 'POST' });
      const sql = (which: string) =>
        berth.query<{ at: Date }>(
          `SELECT l.created_at AS at FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id
            WHERE r.name = $1 AND l.blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $2)`,
          [which, DIGEST],
        );
      for (const which of [name, other]) {
        await client.pushBlob(which, BYTES);
        const [row] = await sql(which);
        const response = await client.fetch(`/v2/${which}/blobs/${DIGEST}`, { method: 'HEAD' });
        expect(response.headers.get('last-modified')).toBe(row?.at.toUTCString());
      }
    });

    it.each(['GET', 'HEAD'])('15. %s If-Modified-Since → 304 with the same headers', async (method) => {
      for (const since of [modified, LATER]) {
        const response = await get({ 'If-Modified-Since': since }, method);
        expect([response.status, await response.text()]).toEqual([304, '']);
        expect(response.headers.get('last-modified')).toBe(modified);
        expect(response.headers.get('etag')).toBe(ETAG);
      }
      for (const since of [EARLIER, 'yesterday']) {
        expect((await get({ 'If-Modified-Since': since }, method)).status).toBe(200);
      }
    });

    it('15. If-Unmodified-Since of an earlier date and If-Match of another tag → 412', async () => {
      expect(await refusal(await get({ 'If-Unmodified-Since': EARLIER }))).toBe('412 UNSUPPORTED');
      expect((await get({ 'If-Unmodified-Since': modified })).status).toBe(200);
      expect(await refusal(await get({ 'If-Match': '"other"' }))).toBe('412 UNSUPPORTED');
      expect((await get({ 'If-Match': ETAG, 'If-Unmodified-Since': EARLIER })).status).toBe(200);
    });

    it('15. entity tags win over dates', async () => {
      expect((await get({ 'If-None-Match': '"other"', 'If-Modified-Since': LATER })).status).toBe(200);
      expect((await get({ 'If-None-Match': ETAG, 'If-Modified-Since': EARLIER })).status).toBe(304);
    });

    it('15. If-Range with exactly the date lets a Range apply', async () => {
      const range = { Range: 'bytes=0-3' };
      expect((await get({ ...range, 'If-Range': modified })).status).toBe(206);
      expect((await get({ ...range, 'If-Range': LATER })).status).toBe(200);
    });

    it('16. conditions do not show a blob that the repository does not have', async () => {
      const path = `/v2/${freshName('other')}/blobs/${DIGEST}`;
      for (const headers of [{ 'If-Modified-Since': LATER }, { 'If-Match': '"other"' }]) {
        expect((await client.fetch(path, { headers })).status).toBe(404);
      }
    });
  });

  it('15. If-None-Match of another digest → 200', async () => {
    expect((await get({ 'If-None-Match': `"${digestOf('other')}"` })).status).toBe(200);
  });

  it('15. a repeated Range header is ignored', async () => {
    const path = `/v2/${name}/blobs/${DIGEST}`;
    const response = await rawRequest(berth.url, 'GET', path, [
      ['Range', 'bytes=0-1'],
      ['Range', 'bytes=4-5'],
    ]);
    expect([response.status, await response.text()]).toEqual([200, String(BYTES)]);
  });

  it('16. a blob that the repository does not link is unknown, though another has it', async () => {
    const other = freshName('other');
    expect(await refusal(await client.fetch(`/v2/${other}/blobs/${DIGEST}`))).toBe('404 BLOB_UNKNOWN');
    await client.pushBlob(other, 'something else');
    for (const method of ['GET', 'DELETE']) {
      const response = await client.fetch(`/v2/${other}/blobs/${DIGEST}`, { method });
      expect(await refusal(response)).toBe('404 BLOB_UNKNOWN');
    }
    expect((await get()).status).toBe(200);
  });

  it('17. DELETE → 202, at once 404 after, and other repositories keep it', async () => {
    const [here, there] = [freshName('here'), freshName('there')];
    const digest = await client.pushBlob(here, 'deleted here');
    await client.pushBlob(there, 'deleted here');
    const path = `/v2/${here}/blobs/${digest}`;
    expect((await client.fetch(path, { method: 'DELETE' })).status).toBe(202);
    expect(await refusal(await client.fetch(path))).toBe('404 BLOB_UNKNOWN');
    expect(await refusal(await client.fetch(path, { method: 'DELETE' }))).toBe('404 BLOB_UNKNOWN');
    expect(String(await client.blob(there, digest))).toBe('deleted here');
  });

  it('17. a deleted blob is unknown under its other digest too, and can be pushed again', async () => {
    const here = freshName('here');
    const sha512 = await client.pushBlob(here, 'gone and back', 'sha512');
    const sha256 = digestOf('gone and back');
    expect((await client.fetch(`/v2/${here}/blobs/${sha256}`, { method: 'DELETE' })).status).toBe(202);
    expect((await client.fetch(`/v2/${here}/blobs/${sha512}`)).status).toBe(404);
    await client.pushBlob(here, 'gone and back');
    expect(String(await client.blob(here, sha256))).toBe('gone and back');
  });

  it.each([0, 1, 64 * 1024, 64 * 1024 + 1])(
    '14. a blob of %d bytes is served whole and in ranges, repeatedly, until it is deleted',
    async (size) => {
      const bytes = randomBytes(size);
      const path = `/v2/${name}/blobs/${await client.pushBlob(name, bytes)}`;
      for (let round = 0; round < 2; round += 1) {
        expect(Buffer.from(await (await client.fetch(path)).arrayBuffer()).equals(bytes)).toBe(true);
        if (size === 0) continue;
        const [first, last] = [Math.floor(size / 3), size - 1];
        const span = await client.fetch(path, { headers: { Range: `bytes=${first}-${last}` } });
        expect(span.headers.get('content-range')).toBe(`bytes ${first}-${last}/${size}`);
        expect(Buffer.from(await span.arrayBuffer()).equals(bytes.subarray(first))).toBe(true);
      }
      expect((await client.fetch(path, { method: 'DELETE' })).status).toBe(202);
      expect(await refusal(await client.fetch(path))).toBe('404 BLOB_UNKNOWN');
    },
  );

  it('17. DELETE of a blob → 405 DENIED while a manifest needs it, which the error names', async () => {
    const [here, there] = [freshName('here'), freshName('there')];
    const layer = await client.pushBlob(here, 'needed', 'sha512');
    const image = JSON.stringify(await client.makeImage(here, ['needed']));
    await client.makeImage(there, ['needed']);
    const manifest = digestOf(image);
    expect((await client.putManifest(here, 'latest', image)).status).toBe(201);
    const remove = (repository: string, path: string) =>
      client.fetch(`/v2/${repository}/${path}`, { method: 'DELETE' });
    for (const needed of [layer, digestOf('needed'), digestOf('{}')]) {
      const refused = await remove(here, `blobs/${needed}`);
      expect(refused.status).toBe(405);
      expect(refused.headers.get('allow')).toBe('GET, HEAD');
      expect(await specErrors(refused)).toEqual([
        { code: 'DENIED', message: expect.stringContaining(manifest), detail: { manifest } },
      ]);
      expect((await client.fetch(`/v2/${here}/blobs/${needed}`)).status).toBe(200);
    }
    // Another repository has no manifest that needs it.
    expect((await remove(there, `blobs/${layer}`)).status).toBe(202);
    expect((await remove(here, `manifests/${manifest}`)).status).toBe(202);
    expect((await remove(here, `blobs/${layer}`)).status).toBe(202);
  });

  it('17. DELETE of an unknown blob → 404', async () => {
    const response = await client.fetch(`/v2/${name}/blobs/${digestOf('never')}`, { method: 'DELETE' });
    expect(await refusal(response)).toBe('404 BLOB_UNKNOWN');
  });
});
