import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freshName } from '../support/fresh-name.js';
import { httpChunk, RawConnection, type RawHeaders, rawRequest, requestHead } from '../support/raw-http.js';
import { contentHeaders, digestOf, refusal, RegistryClient, withDigest } from '../support/registry-client.js';
import { type OwnBerth, type RunningBerth, sharedBerth, startFront } from '../support/running-berth.js';
import { bytesArrived } from '../support/stored-files.js';
import { inQuery, tarLayer } from '../support/tar-layer.js';
import { statusAndDigest } from '../support/tarsum-pushes.js';
import { eventually, until } from '../support/until.js';

const MIB = 1024 * 1024;

// `E2E_FRONT=on` runs every other file of this directory through a front.
describe('a front', () => {
  let berth: RunningBerth;
  let front: OwnBerth;
  let client: RegistryClient;
  let direct: RegistryClient;
  let name: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    front = await startFront([berth.url], { LOG_LEVEL: 'trace' });
    client = new RegistryClient(front.url);
    direct = new RegistryClient(berth.url);
    name = freshName('front');
  });
  afterAll(() => front.dispose());

  it('takes every form of a push', async () => {
    const bytes = randomBytes(2 * MIB);
    const digest = digestOf(bytes);
    const [half, rest] = [bytes.subarray(0, MIB), bytes.subarray(MIB)];
    const forms: Record<string, () => Promise<Response>> = {
      'POST of all': () =>
        client.fetch(`/v2/${name}/all/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes }),
      'PUT of all': async () => client.commit(await client.uploadLocation(`${name}/put`), digest, bytes),
      'PATCH and PUT': async () => {
        const patched = await client.patch(await client.uploadLocation(`${name}/patch`), bytes);
        return client.commit(patched.headers.get('location') ?? '', digest);
      },
      'chunks with ranges': async () => {
        const location = await client.startUpload(`${name}/ranges`);
        expect((await client.patch(location, half, `0-${MIB - 1}`)).status).toBe(202);
        const wrong = await client.patch(location, rest, `5-${MIB + 4}`);
        expect([wrong.status, wrong.headers.get('upload-offset')]).toEqual([416, String(MIB)]);
        return client.commit(location, digest, rest, `${MIB}-${2 * MIB - 1}`);
      },
      'a stream': async () => {
        const location = await client.startUpload(`${name}/stream`);
        const body = Buffer.concat([httpChunk(half), httpChunk(rest), httpChunk('')]);
        const coding: RawHeaders = [['Transfer-Encoding', 'chunked']];
        expect((await rawRequest(front.url, 'PATCH', location, coding, body)).status).toBe(202);
        return client.commit(location, digest);
      },
    };
    for (const [form, push] of Object.entries(forms)) {
      const response = await push();
      expect([form, response.status]).toEqual([form, 201]);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
    }
    for (const part of ['all', 'put', 'patch', 'ranges', 'stream'])
      expect(digestOf(await direct.blob(`${name}/${part}`, digest))).toBe(digest);
  });

  it.each([10, 2 * MIB])('takes a blob of %i bytes with a digest of sha512', async (length) => {
    const digest = await client.pushBlob(name, randomBytes(length), 'sha512');
    expect(digestOf(await direct.blob(name, digest), 'sha512')).toBe(digest);
  });

  it.each(['POST', 'PATCH', 'PUT'])(
    'passes on every digest of a push by %s, small or large',
    async (method) => {
      for (const length of [10, 2 * MIB]) {
        const { bytes, sha256, v0, v1 } = tarLayer({ body: randomBytes(length) });
        const start = `/v2/${name}/blobs/uploads/`;
        const push = async (query: string) => {
          if (method === 'POST') return client.fetch(`${start}?${query}`, { method, body: bytes });
          const location = await client.uploadLocation(name);
          if (method === 'PUT') return client.fetch(`${location}&${query}`, { method, body: bytes });
          const patched = await client.patch(location, bytes);
          return client.fetch(`${patched.headers.get('location')}&${query}`, { method: 'PUT' });
        };
        expect(await refusal(await push(inQuery(v1, v0, digestOf('else'))))).toBe('400 DIGEST_INVALID');
        expect(statusAndDigest(await push(inQuery(v1, v0, sha256)))).toEqual([201, sha256]);
        for (const tarsum of [v0, v1]) {
          const blob = `/v2/${name}/blobs/${tarsum}`;
          expect(statusAndDigest(await direct.fetch(blob, { method: 'HEAD' }))).toEqual([200, sha256]);
          expect((await client.blob(name, tarsum)).equals(bytes)).toBe(true);
        }
      }
    },
  );

  it('passes on a manifest of 2 MiB, both ways', async () => {
    const image = await client.makeImage(name, ['layer'], { annotations: { x: 'x'.repeat(2 * MIB) } });
    expect((await client.putManifest(name, 'large', image)).status).toBe(201);
    const pulled = await client.fetch(`/v2/${name}/manifests/large`);
    expect(await pulled.text()).toBe(JSON.stringify(image));
  });

  it('returns the answers of the replica', async () => {
    const digest = await direct.pushBlob(name, '0123456789');
    await direct.putManifest(name, 'one', await direct.makeImage(name));
    await direct.putManifest(name, 'two', await direct.makeImage(name));
    const blob = `/v2/${name}/blobs/${digest}`;
    for (const [path, init] of [
      ['/v2/', {}],
      [blob, {}],
      [blob, { method: 'HEAD' }],
      [blob, { headers: { Range: 'bytes=2-5' } }],
      [blob, { headers: { Range: 'bytes=20-' } }],
      [blob, { headers: { 'If-None-Match': `"${digest}"` } }],
      [`/v2/${name}/blobs/${digestOf('none')}`, {}],
      [`/v2/${name}/blobs/${digestOf('none')}`, { method: 'HEAD' }],
      [`/v2/${name}/manifests/one`, { method: 'HEAD' }],
      [`/v2/${name}/tags/list?n=1`, {}],
      [`/v2/${name}/manifests/one`, { method: 'POST' }],
      ['/v2/UPPER/tags/list', {}],
      ['/v2/%zz/tags/list', {}],
      ['/elsewhere', {}],
    ] as const) {
      const [passed, own] = await Promise.all([client.fetch(path, init), direct.fetch(path, init)]);
      expect([path, passed.status, contentHeaders(passed)]).toEqual([path, own.status, contentHeaders(own)]);
      expect(await passed.text()).toBe(await own.text());
    }
  });

  it('passes on several ranges of a blob', async () => {
    const digest = await direct.pushBlob(name, randomBytes(2 * MIB));
    const headers = { Range: 'bytes=0-9,500000-1999999' };
    const response = await client.fetch(`/v2/${name}/blobs/${digest}`, { headers });
    const body = await response.arrayBuffer();
    expect([response.status, String(body.byteLength)]).toEqual([206, response.headers.get('content-length')]);
    expect(body.byteLength).toBeGreaterThan(1_500_010);
  });

  it.each([
    ['Content-Range', 'a-b'],
    ['Upload-Offset', 'four'],
    ['Upload-Offset', ''],
  ])('leaves it to the replica to refuse %s: %s', async (header, value) => {
    const location = await client.startUpload(name);
    const response = await rawRequest(
      ...([front.url, 'PATCH', location] as const),
      [
        ['Content-Length', 4],
        [header, value],
      ],
      'four',
    );
    expect(await refusal(response)).toBe('400 BLOB_UPLOAD_INVALID');
    expect((await client.fetch(location)).headers.get('upload-offset')).toBe('0');
  });

  it('requests a body only when the replica does', async () => {
    const location = await client.startUpload(name);
    const open = async (length: number, headers: RawHeaders) => {
      const connection = await RawConnection.open(front.url);
      const expectation: RawHeaders = [
        ['Content-Length', length],
        ['Expect', '100-continue'],
      ];
      await connection.send(requestHead('PATCH', location, [...expectation, ...headers]));
      return connection;
    };
    for (const length of [1_000, 2 * MIB]) {
      const refused = await open(length, [['Content-Range', `5-${length + 4}`]]);
      expect(String(await refused.some())).toMatch(/^HTTP\/1\.1 416 /);
      refused.leave();
    }
    const accepted = await open(4, []);
    expect(String(await accepted.some())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    await accepted.send('four');
    expect((await accepted.response()).status).toBe(202);
    accepted.leave();
  });

  it('keeps what arrived of a client that disconnects, and both log it under its id', async () => {
    const location = await client.startUpload(name);
    const id = randomUUID();
    const connection = await RawConnection.open(front.url);
    const headers: RawHeaders = [
      ['Content-Length', 2 * MIB],
      ['X-Request-Id', id],
    ];
    await connection.send(requestHead('PATCH', location, headers), 'x'.repeat(321));
    await bytesArrived(berth, location, 321);
    connection.leave();
    const offset = async () => (await client.fetch(location)).headers.get('upload-offset');
    expect(await eventually(offset, (found) => found === '321')).toBe('321');
    const digest = digestOf('x'.repeat(321));
    expect((await client.fetch(withDigest(location, digest), { method: 'PUT' })).status).toBe(201);
    const lines = (of: RunningBerth) => of.log().filter(({ requestId }) => requestId === id);
    await until('lines in both logs', () => lines(front).length > 0 && lines(berth).length > 0);
    const uploadId = location.split('/').at(-1);
    for (const each of [front, berth]) expect(lines(each)[0]).toMatchObject({ repository: name, uploadId });
  });

  it.each<[string, RawHeaders, string]>([
    [
      'two lengths',
      [
        ['Content-Length', 4],
        ['Content-Length', 5],
      ],
      'four',
    ],
    [
      'a length and chunks',
      [
        ['Content-Length', 4],
        ['Transfer-Encoding', 'chunked'],
      ],
      '0\r\n\r\n',
    ],
    ['a folded header', [['X', 'a\r\n b']], ''],
    ['a bad chunk size', [['Transfer-Encoding', 'chunked']], 'x\r\nfour\r\n0\r\n\r\n'],
    ['another coding', [['Transfer-Encoding', 'gzip, chunked']], '0\r\n\r\n'],
    ['a chunk that is too long', [['Transfer-Encoding', 'chunked']], '2\r\nfour\r\n0\r\n\r\n'],
  ])('lets no second request through behind %s', async (_, headers, body) => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(front.url);
    const second = requestHead('DELETE', location);
    await connection.send(requestHead('PATCH', location, headers), body, second).catch(() => undefined);
    const responses = String(await connection.rest());
    expect(responses).toMatch(/^HTTP\/1\.1 400 /);
    expect(responses.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect((await direct.fetch(location)).status).toBe(204);
  });

  it('never logs a credential', async () => {
    const headers = { Authorization: 'Basic czNjcmV0OnMzY3JldA==', Cookie: 's3cret=1' };
    await client.fetch(`/v2/${name}/tags/list?token=s3cret`, { headers });
    await client.fetch(`/v2/${name}/blobs/uploads/?account=s3cret`, { method: 'POST', headers });
    expect(JSON.stringify(front.log())).not.toMatch(/s3cret|czNjcmV0/);
  });

  it('is ready while a replica is', async () => {
    const ready = await client.fetch('/health/ready');
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ok', checks: { replicas: 'ok' } }]);
    expect((await client.fetch('/health/live')).status).toBe(200);
  });
});
