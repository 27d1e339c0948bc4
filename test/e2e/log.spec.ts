import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { freshName } from '../support/fresh-name.js';
import { RawConnection, rawRequest, requestHead } from '../support/raw-http.js';
import { digestOf, OCI_INDEX, RegistryClient } from '../support/registry-client.js';
import { type LogLine, type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';
import { bytesArrived } from '../support/stored-files.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type Init = Omit<RequestInit, 'headers'> & { readonly headers?: Record<string, string> };

/** Waits for the lines of a request. */
async function linesOf(berth: RunningBerth, id: string, count = 1): Promise<LogLine[]> {
  const lines = () => berth.log().filter(({ requestId }) => requestId === id);
  await until(`${count} lines of ${id}`, () => lines().length >= count);
  return lines();
}

describe('request ids', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  it.each([
    ['GET', '/v2/', 200],
    ['GET', '/v2/nothing', 404],
    ['GET', '/v2/a/blobs/sha256:bad', 400],
    ['GET', '/v2/%zz/tags/list', 400],
    ['POST', '/v2/', 405],
    ['GET', '/api/v1/overview', 200],
    ['GET', '/api/v1/nothing', 404],
    ['GET', '/api/docs/', 200],
    ['GET', '/api/docs-json', 200],
    ['GET', '/health/live', 200],
    ['GET', '/nothing', 404],
  ])('are in the header of every response: %s %s', async (method, path, status) => {
    const response = await client.fetch(path, { method });
    expect([response.status, response.headers.get('x-request-id')]).toEqual([
      status,
      expect.stringMatching(UUID),
    ]);
  });

  it.each([
    ['a repeated Host', requestHead('GET', '/v2/', [['Host', 'other']]), 400],
    ['an expectation', requestHead('GET', '/v2/', [['Expect', 'magic']]), 417],
    ['no HTTP', 'GET nonsense\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00', 400],
    ['a long header', requestHead('GET', '/v2/', [['X', 'x'.repeat(40_000)]]), 431],
  ])('are in the header of a refusal before the application, and in the log: %s', async (_, text, status) => {
    const connection = await RawConnection.open(berth.url);
    await connection.send(text);
    const response = await connection.response();
    connection.leave();
    const id = response.headers.get('x-request-id') ?? '';
    expect([response.status, id]).toEqual([status, expect.stringMatching(UUID)]);
    expect(await linesOf(berth, id)).toMatchObject([{ status, errorCode: 'UNSUPPORTED' }]);
  });

  it('differ between the requests of a connection', async () => {
    const connection = await RawConnection.open(berth.url);
    const get = (id?: string) =>
      requestHead('GET', '/v2/_catalog', id === undefined ? [] : [['X-Request-Id', id]]);
    await connection.send(get() + get('mine') + get());
    const ids: (string | null)[] = [];
    for (let n = 0; n < 3; n += 1) ids.push((await connection.response()).headers.get('x-request-id'));
    connection.leave();
    expect(ids).toEqual([expect.stringMatching(UUID), 'mine', expect.stringMatching(UUID)]);
    expect(ids[0]).not.toBe(ids[2]);
  });
});

describe('the log', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('log');
  });

  /** Sends a request with an id and returns its line. */
  async function lineOf(path: string, { headers = {}, ...init }: Init = {}) {
    const id = randomUUID();
    const sent = { 'User-Agent': 'tester/1 (x)', ...headers, 'X-Request-Id': id };
    const response = await client.fetch(path, { ...init, headers: sent });
    await response.arrayBuffer();
    return (await linesOf(berth, id))[0];
  }

  it('says what was pushed and pulled, and how many bytes that took', async () => {
    const layer = 'x'.repeat(100_000);
    const image = JSON.stringify(await client.makeImage(name, [layer, 'other']));
    const digest = digestOf(image);
    const headers = { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' };
    const path = `/v2/${name}/manifests/1.0`;
    expect(await lineOf(path, { method: 'PUT', body: image, headers })).toMatchObject({
      level: 30,
      msg: `pushed ${name}:1.0 ${digest} 2 layers 100 kB`,
      method: 'PUT',
      path,
      status: 201,
      durationMs: expect.any(Number),
      bytesIn: image.length,
      bytesOut: 0,
      repository: name,
      reference: '1.0',
      digest,
      layers: 2,
      contentBytes: 100_007,
      clientAddress: '127.0.0.1',
      userAgent: 'tester/1 (x)',
    });
    expect(await lineOf(path)).toMatchObject({
      msg: 'request',
      reference: '1.0',
      digest,
      bytesOut: image.length,
    });
    expect(await lineOf(path, { method: 'HEAD' })).toMatchObject({ status: 200, digest, bytesOut: 0 });
    const blob = digestOf(layer);
    expect(await lineOf(`/v2/${name}/blobs/${blob}`)).toMatchObject({ digest: blob, bytesOut: 100_000 });

    const child = { mediaType: headers['Content-Type'], digest, size: image.length };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] });
    const put = { method: 'PUT', body: index, headers: { 'Content-Type': OCI_INDEX } };
    expect(await lineOf(`/v2/${name}/manifests/${digestOf(index)}?tag=a&tag=b`, put)).toMatchObject({
      msg: `pushed ${name}@${digestOf(index)} 1 manifest as a, b`,
      manifests: 1,
    });
  });

  it('has the upload, also of a body without a length', async () => {
    const location = await client.startUpload(name);
    const uploadId = location.split('/').at(-1);
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.alloc(70_000));
        controller.close();
      },
    });
    const patch = { method: 'PATCH', body, duplex: 'half' as const };
    expect(await lineOf(location, patch)).toMatchObject({ status: 202, uploadId, bytesIn: 70_000 });
    const commit = `${location}?digest=${digestOf(Buffer.alloc(70_000))}`;
    const line = await lineOf(commit, { method: 'PUT' });
    expect(line).toMatchObject({ status: 201, digest: digestOf(Buffer.alloc(70_000)), path: location });
  });

  it('has the code of an error', async () => {
    const line = await lineOf(`/v2/${name}/blobs/${digestOf('no')}`);
    expect(line).toMatchObject({ level: 30, status: 404, errorCode: 'BLOB_UNKNOWN', digest: digestOf('no') });
    expect(await lineOf('/v2/UPPER/tags/list')).toMatchObject({ status: 400, errorCode: 'NAME_INVALID' });
  });

  it('says how far an upload came whose client disconnects', async () => {
    const location = await client.startUpload(name);
    const uploadId = location.split('/').at(-1);
    const id = randomUUID();
    const connection = await RawConnection.open(berth.url);
    const head = requestHead('PATCH', location, [
      ['Content-Length', 1000],
      ['X-Request-Id', id],
    ]);
    await connection.send(head, 'x'.repeat(321));
    await bytesArrived(berth, location, 321);
    connection.leave();
    expect(await linesOf(berth, id, 2)).toMatchObject([
      { msg: 'request aborted', status: null, bytesIn: 321 },
      {
        msg: `upload ${uploadId} broke off; 321 bytes are durable and can be resumed`,
        durableOffset: 321,
        uploadId,
        repository: name,
      },
    ]);
  });

  it('has the durable offset of an upload that fails with a response', async () => {
    const location = await client.startUpload(name);
    await client.patch(location, 'abc');
    const line = await lineOf(location, { method: 'PATCH', body: 'x', headers: { 'Content-Range': '7-7' } });
    expect(line).toMatchObject({ status: 416, errorCode: 'BLOB_UPLOAD_INVALID', durableOffset: 3 });
  });

  it('has no ping and no probe', async () => {
    const id = randomUUID();
    for (const path of ['/v2/', '/health/live', '/health/ready', '/v2/_catalog'])
      await client.fetch(path, { headers: { 'X-Request-Id': id } });
    expect(await linesOf(berth, id)).toMatchObject([{ path: '/v2/_catalog' }]);
  });

  it('has no query, no credentials and no control characters', async () => {
    const id = randomUUID();
    const path = `/v2/${name}/manifests/a%0a%1b%5b31m?token=s3cret`;
    await rawRequest(berth.url, 'GET', path, [
      ['X-Request-Id', id],
      ['Authorization', 'Bearer s3cret'],
      ['User-Agent', 'a\x9bb'],
      ['X-Forwarded-For', '9.9.9.9'],
      ['X-Forwarded-Host', 's3cret.example'],
    ]);
    const [line] = await linesOf(berth, id);
    expect(line).toMatchObject({
      reference: 'a\\u000a\\u001b[31m',
      userAgent: 'a\\u00c2\\u009bb',
      clientAddress: '127.0.0.1',
    });
    expect(JSON.stringify(line)).not.toMatch(/s3cret|9\.9\.9/);
  });
});
