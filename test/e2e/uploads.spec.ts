import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient, specErrors } from '../support/registry-client.js';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
const LAYER = Buffer.from('the bytes of a layer');

describe('uploads', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('uploads');
  });

  const status = (location: string) => client.fetch(location);
  const rangeOf = async (location: string) => (await status(location)).headers.get('range');

  describe('beginning', () => {
    it.each(['', '/'])('1. POST …/blobs/uploads%s starts a session', async (slash) => {
      const response = await client.fetch(`/v2/${name}/blobs/uploads${slash}`, { method: 'POST' });
      expect(response.status).toBe(202);
      const location = response.headers.get('location');
      const uuid = response.headers.get('docker-upload-uuid');
      expect(uuid).toMatch(new RegExp(`^${UUID.source}$`));
      expect(location).toBe(`/v2/${name}/blobs/uploads/${uuid}?offset=0`);
      expect(response.headers.get('range')).toBe('0-0');
      expect(response.headers.get('content-length')).toBe('0');
      expect(response.headers.has('oci-chunk-min-length')).toBe(false);
    });

    it('1. there is no minimum length: a chunk of one byte is taken', async () => {
      const location = await client.startUpload(name);
      expect((await client.patch(location, 'x', '0-0')).status).toBe(202);
      expect((await client.patch(location, 'y', '1-1')).status).toBe(202);
      expect((await client.commit(location, digestOf('xy'))).status).toBe(201);
    });

    it('1. sessions of one repository do not affect each other', async () => {
      const [one, two] = await Promise.all([client.startUpload(name), client.startUpload(name)]);
      expect(one).not.toBe(two);
      await client.patch(one, 'one');
      expect(await rangeOf(one)).toBe('0-2');
      expect(await rangeOf(two)).toBe('0-0');
    });
  });

  describe('in one request', () => {
    it('2. POST with a digest and a body makes the blob', async () => {
      const bytes = Buffer.from('2. whole');
      const digest = digestOf(bytes);
      const path = `/v2/${name}/blobs/uploads/?digest=${digest}`;
      const response = await client.fetch(path, { method: 'POST', body: bytes });
      expect(response.status).toBe(201);
      expect(response.headers.get('location')).toBe(`/v2/${name}/blobs/${digest}`);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
      expect(await client.blob(name, digest)).toEqual(bytes);
    });

    it('2. POST with a sha512 digest makes a blob of both algorithms', async () => {
      const bytes = Buffer.from('2. whole, sha512');
      const digest = digestOf(bytes, 'sha512');
      const path = `/v2/${name}/blobs/uploads/?digest=${digest}`;
      const response = await client.fetch(path, { method: 'POST', body: bytes });
      expect(response.status).toBe(201);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
      expect(await client.blob(name, digest)).toEqual(bytes);
      expect(await client.blob(name, digestOf(bytes))).toEqual(bytes);
    });

    it('2. the body may come in chunked transfer encoding', async () => {
      const digest = digestOf(LAYER);
      const connection = await RawConnection.open(berth.url);
      const head = requestHead('POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, [
        ['Transfer-Encoding', 'chunked'],
      ]);
      await connection.send(
        head,
        httpChunk(LAYER.subarray(0, 5)),
        httpChunk(LAYER.subarray(5)),
        httpChunk(''),
      );
      expect((await connection.response()).status).toBe(201);
      connection.leave();
      expect(await client.blob(name, digest)).toEqual(LAYER);
    });

    it('2. digest-algorithm=sha512 sets the algorithm', async () => {
      const location = await client.startUpload(name, '?digest-algorithm=sha512');
      await client.patch(location, 'announced ');
      const bytes = Buffer.from('announced sha512');
      const response = await client.commit(location, digestOf(bytes, 'sha512'), 'sha512');
      expect(response.status).toBe(201);
      expect(response.headers.get('docker-content-digest')).toBe(digestOf(bytes, 'sha512'));
      expect(await client.blob(name, digestOf(bytes, 'sha512'))).toEqual(bytes);
    });

    it('2. the client may commit with another algorithm than it announced', async () => {
      const location = await client.startUpload(name, '?digest-algorithm=sha512');
      const response = await client.commit(location, digestOf('256 after all'), '256 after all');
      expect(response.status).toBe(201);
    });

    it.each(['md5', 'sha1', 'blake3', 'SHA512', ''])(
      '2. digest-algorithm=%s is refused',
      async (algorithm) => {
        const path = `/v2/${name}/blobs/uploads/?digest-algorithm=${algorithm}`;
        expect(await refusal(await client.fetch(path, { method: 'POST' }))).toBe('400 DIGEST_INVALID');
      },
    );
  });

  describe('ending', () => {
    it('8. PUT ?digest= makes a blob that is served at once', async () => {
      const location = await client.startUpload(name);
      const bytes = Buffer.from('8. served at once');
      await client.patch(location, bytes.subarray(0, 4));
      const response = await client.commit(location, digestOf(bytes), bytes.subarray(4));
      expect(response.status).toBe(201);
      expect(response.headers.get('docker-content-digest')).toBe(digestOf(bytes));
      const pulled = await client.fetch(response.headers.get('location') ?? '');
      expect(Buffer.from(await pulled.arrayBuffer())).toEqual(bytes);
    });

    it('8. Docker-Content-Digest is in the algorithm that the client asked for', async () => {
      const bytes = Buffer.from('8. in both algorithms');
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const digest = digestOf(bytes, algorithm);
        const response = await client.commit(await client.startUpload(name), digest, bytes);
        expect(response.headers.get('docker-content-digest')).toBe(digest);
        const pulled = await client.fetch(response.headers.get('location') ?? '', { method: 'HEAD' });
        expect(pulled.headers.get('docker-content-digest')).toBe(digest);
      }
    });

    it('8. PUT succeeds again when it is repeated after a lost response', async () => {
      const location = await client.startUpload(name);
      const bytes = Buffer.from('8. repeated');
      const digest = digestOf(bytes);
      expect((await client.commit(location, digest, bytes)).status).toBe(201);
      for (const body of [bytes, undefined]) {
        const again = await client.commit(location, digest, body);
        expect(again.status).toBe(201);
        expect(again.headers.get('location')).toBe(`/v2/${name}/blobs/${digest}`);
        expect(again.headers.get('docker-content-digest')).toBe(digest);
      }
      expect(await client.blob(name, digest)).toEqual(bytes);
    });

    it('8. a committed session still returns its length and accepts no more bytes', async () => {
      const location = await client.startUpload(name);
      await client.commit(location, digestOf('committed'), 'committed');
      const response = await status(location);
      expect([response.status, response.headers.get('range')]).toEqual([204, '0-8']);
      expect(await refusal(await client.patch(location, 'more'))).toBe('404 BLOB_UPLOAD_UNKNOWN');
      const other = await client.commit(location, digestOf('other'), 'other');
      expect(await refusal(other)).toBe('404 BLOB_UPLOAD_UNKNOWN');
      expect(await client.blob(name, digestOf('committed'))).toEqual(Buffer.from('committed'));
    });

    it.each([
      ['missing', ''],
      ['empty', '?digest='],
      ['malformed', '?digest=sha256:zz'],
      ['too short', `?digest=${digestOf(LAYER).slice(0, -1)}`],
      ['without an algorithm', `?digest=${digestOf(LAYER).slice(7)}`],
      ['of an unknown algorithm', `?digest=md5:d41d8cd98f00b204e9800998ecf8427e`],
      ['in upper case', `?digest=${digestOf(LAYER).toUpperCase().replace('SHA256', 'sha256')}`],
    ])('9. a digest that is %s is DIGEST_INVALID, and the session stays usable', async (_, query) => {
      const location = await client.startUpload(name);
      await client.patch(location, LAYER);
      const response = await client.fetch(`${location}${query}`, { method: 'PUT' });
      expect(await refusal(response)).toBe('400 DIGEST_INVALID');
      expect((await client.commit(location, digestOf(LAYER))).status).toBe(201);
    });

    it.each(['sha256', 'sha512'] as const)('9. a %s mismatch keeps the bytes', async (algorithm) => {
      const location = await client.startUpload(name);
      await client.patch(location, 'right');
      const wrong = await client.commit(location, digestOf('wrong', algorithm));
      const [received, expected] = [digestOf('right', algorithm), digestOf('wrong', algorithm)];
      expect([wrong.status, ...(await specErrors(wrong))]).toEqual([
        400,
        {
          code: 'DIGEST_INVALID',
          message: `the upload's 5 bytes have the digest ${received}, not ${expected}`,
          detail: { received, expected, size: 5 },
        },
      ]);
      expect(await rangeOf(location)).toBe('0-4');
      expect(await refusal(await client.fetch(`/v2/${name}/blobs/${digestOf('wrong', algorithm)}`))).toBe(
        '404 BLOB_UNKNOWN',
      );
      expect((await client.commit(location, digestOf('right', algorithm))).status).toBe(201);
    });

    it('9. a mismatch of a PUT with a body keeps all of the bytes too', async () => {
      const location = await client.startUpload(name);
      const wrong = await client.commit(location, digestOf('other'), 'these');
      expect(await refusal(wrong)).toBe('400 DIGEST_INVALID');
      expect(await rangeOf(location)).toBe('0-4');
      expect((await client.commit(location, digestOf('these'))).status).toBe(201);
    });

    it.each(['POST', 'POST and PUT', 'PATCH and PUT'])('10. a blob of no bytes by %s', async (form) => {
      const digest = digestOf('');
      const repository = freshName('empty');
      if (form === 'POST') {
        await client.pushBlob(repository, '');
      } else {
        const location = await client.startUpload(repository);
        if (form === 'PATCH and PUT') expect((await client.patch(location, '')).status).toBe(202);
        expect((await client.commit(location, digest)).status).toBe(201);
      }
      const response = await client.fetch(`/v2/${repository}/blobs/${digest}`);
      expect([response.status, response.headers.get('content-length')]).toEqual([200, '0']);
      expect((await response.arrayBuffer()).byteLength).toBe(0);
    });

    it.each([
      ['chunks, never announced', '', true],
      ['chunks, announced', '?digest-algorithm=sha512', true],
      ['POST and PUT, never announced', '', false],
    ])('10. sha512 by %s', async (form, query, chunked) => {
      const bytes = Buffer.from(`10. sha512 by ${form}, `.repeat(9_000));
      const location = await client.startUpload(name, query);
      const half = chunked ? bytes.length >> 1 : 0;
      if (chunked) await client.patch(location, bytes.subarray(0, half), `0-${half - 1}`);
      const digest = digestOf(bytes, 'sha512');
      expect((await client.commit(location, digest, bytes.subarray(half))).status).toBe(201);
      expect(digestOf(await client.blob(name, digest))).toBe(digestOf(bytes));
      expect(digestOf(await client.blob(name, digestOf(bytes)))).toBe(digestOf(bytes));
    });

    it('10. the empty blob has a sha512 as well', async () => {
      const digest = digestOf('', 'sha512');
      expect((await client.commit(await client.startUpload(name), digest)).status).toBe(201);
      expect((await client.blob(name, digest)).length).toBe(0);
    });

    it('11. DELETE ends the session; afterwards it is unknown', async () => {
      const location = await client.startUpload(name);
      await client.patch(location, 'abandoned');
      expect((await client.fetch(location, { method: 'DELETE' })).status).toBe(204);
      const afterwards = [
        await status(location),
        await client.patch(location, 'more'),
        await client.commit(location, digestOf('abandoned')),
        await client.fetch(location, { method: 'DELETE' }),
      ];
      for (const response of afterwards) expect(await refusal(response)).toBe('404 BLOB_UPLOAD_UNKNOWN');
    });

    it('11. a session under another repository is unknown there, and unharmed', async () => {
      const location = await client.startUpload(name);
      await client.patch(location, 'mine');
      const stranger = location.replace(name, freshName('stranger'));
      const attempts = [
        await status(stranger),
        await client.patch(stranger, 'more'),
        await client.commit(stranger, digestOf('mine')),
        await client.fetch(stranger, { method: 'DELETE' }),
      ];
      for (const response of attempts) expect(await refusal(response)).toBe('404 BLOB_UPLOAD_UNKNOWN');
      expect((await client.commit(location, digestOf('mine'))).status).toBe(201);
    });

    it.each(['00000000-0000-4000-8000-000000000000', 'not-a-uuid', '%00'])(
      '11. a session that never existed (%s) is unknown',
      async (id) => {
        const response = await client.fetch(`/v2/${name}/blobs/uploads/${id}`);
        expect(await refusal(response)).toBe('404 BLOB_UPLOAD_UNKNOWN');
      },
    );
  });
});
