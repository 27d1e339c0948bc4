import { beforeAll, describe, expect, it } from '@jest/globals';
import { freshName } from '../support/fresh-name.js';
import { httpChunk, type RawHeaders, rawRequest } from '../support/raw-http.js';
import { digestOf, refusal, RegistryClient, withDigest } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

/** The header `Upload-Offset`, in responses and in requests. */
describe('the exact offset of an upload', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('offsets');
  });

  const offsetOf = (response: Response) => response.headers.get('upload-offset');
  const durable = async (location: string) => offsetOf(await client.fetch(location));

  /** A session of four bytes. */
  const begin = async (): Promise<string> => {
    const location = await client.startUpload(name);
    await client.patch(location, 'four');
    return location;
  };

  const patch = (location: string, body: string, headers: RawHeaders) =>
    rawRequest(berth.url, 'PATCH', location, [['Content-Length', body.length], ...headers], body);

  it('is in the response to POST, PATCH, GET and a 416, also with one byte and with none', async () => {
    const started = await client.fetch(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
    expect(offsetOf(started)).toBe('0');
    const location = started.headers.get('location') ?? '';
    expect(await durable(location)).toBe('0');
    const patched = await client.patch(location, '1');
    expect([patched.headers.get('range'), offsetOf(patched)]).toEqual(['0-0', '1']);
    expect(await durable(location)).toBe('1');
    const refused = await client.patch(location, 'elsewhere', '5-13');
    expect([refused.status, offsetOf(refused)]).toEqual([416, '1']);
    expect((await client.commit(location, digestOf('1'))).status).toBe(201);
    expect(await durable(location)).toBe('1');
  });

  it('appends a body that states it, at any Location and in any form', async () => {
    const location = await begin();
    const state = (offset: number): RawHeaders => [['Upload-Offset', offset]];
    expect((await patch(location, ' and', state(4))).status).toBe(202);
    expect((await patch(`${location}?offset=0`, ' more', state(8))).status).toBe(202);
    const chunked: RawHeaders = [['Transfer-Encoding', 'chunked'], ...state(13)];
    const body = Buffer.concat([httpChunk(' in chunks'), httpChunk('')]);
    expect((await rawRequest(berth.url, 'PATCH', location, chunked, body)).status).toBe(202);
    const ranged: RawHeaders = [['Content-Range', '23-26'], ...state(23)];
    expect((await patch(location, ' and', ranged)).status).toBe(202);
    const digest = digestOf('four and more in chunks and the last');
    const last: RawHeaders = [['Content-Length', 9], ...state(27)];
    const put = await rawRequest(berth.url, 'PUT', withDigest(location, digest), last, ' the last');
    expect(put.status).toBe(201);
    expect(String(await client.blob(name, digest))).toBe('four and more in chunks and the last');
  });

  it.each<[what: string, headers: RawHeaders, query: string, expected: string]>([
    ['behind the offset', [['Upload-Offset', 0]], '', '416 BLOB_UPLOAD_INVALID'],
    // At the Location alone, this body would be compared and accepted.
    ['behind it, at its own Location', [['Upload-Offset', 0]], '?offset=0', '416 BLOB_UPLOAD_INVALID'],
    ['behind it, at the last Location', [['Upload-Offset', 0]], '?offset=4', '416 BLOB_UPLOAD_INVALID'],
    ['beyond the offset', [['Upload-Offset', 5]], '', '416 BLOB_UPLOAD_INVALID'],
    [
      'contradicted by Content-Range',
      [
        ['Upload-Offset', 4],
        ['Content-Range', '0-3'],
      ],
      '',
      '400 BLOB_UPLOAD_INVALID',
    ],
    ['malformed', [['Upload-Offset', 'four']], '', '400 BLOB_UPLOAD_INVALID'],
    ['negative', [['Upload-Offset', '-4']], '', '400 BLOB_UPLOAD_INVALID'],
    ['empty', [['Upload-Offset', '']], '', '400 BLOB_UPLOAD_INVALID'],
    ['too large', [['Upload-Offset', '9007199254740992']], '', '400 BLOB_UPLOAD_INVALID'],
    [
      'repeated',
      [
        ['Upload-Offset', 4],
        ['Upload-Offset', 4],
      ],
      '',
      '400 BLOB_UPLOAD_INVALID',
    ],
  ])(
    'refuses a PATCH and a PUT whose offset is %s, and appends nothing',
    async (_, headers, query, expected) => {
      const location = await begin();
      const body = 'fourfive';
      const length: RawHeaders = [['Content-Length', body.length]];
      const target = `${location}${query}`;
      const commit = withDigest(target, digestOf('fourfourfive'));
      for (const [method, path] of [
        ['PATCH', target],
        ['PUT', commit],
      ] as const) {
        const response = await rawRequest(berth.url, method, path, [...length, ...headers], body);
        if (expected.startsWith('416')) expect(offsetOf(response)).toBe('4');
        expect(await refusal(response)).toBe(expected);
        expect(await durable(location)).toBe('4');
      }
      expect((await client.commit(location, digestOf('four'))).status).toBe(201);
    },
  );

  it('is not needed by a PUT without a body, which appends nothing', async () => {
    const location = await begin();
    const path = withDigest(location, digestOf('four'));
    expect((await rawRequest(berth.url, 'PUT', path, [['Upload-Offset', 0]])).status).toBe(201);
  });
});
