import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient, withDigest } from '../support/registry-client.js';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
const LAYER = Buffer.from('the bytes of a layer');

describe('uploads in chunks', () => {
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

  it('4. PATCH without Content-Range appends a stream of any length', async () => {
    const location = await client.startUpload(name);
    expect((await client.patch(location, 'some ')).status).toBe(202);
    const streamed = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const text of ['bytes ', 'in ', 'pieces']) controller.enqueue(Buffer.from(text));
        controller.close();
      },
    });
    const response = await client.fetch(location, {
      method: 'PATCH',
      body: streamed,
      duplex: 'half',
    });
    expect(response.headers.get('range')).toBe(`0-${'some bytes in pieces'.length - 1}`);
    expect((await client.commit(location, digestOf('some bytes in pieces'))).status).toBe(201);
  });

  it('4. PATCH with Content-Range appends the bytes a-b, both inclusive', async () => {
    const location = await client.startUpload(name);
    expect((await client.patch(location, LAYER.subarray(0, 7), '0-6')).status).toBe(202);
    expect((await client.patch(location, LAYER.subarray(7), `7-${LAYER.length - 1}`)).status).toBe(202);
    expect((await client.commit(location, digestOf(LAYER))).status).toBe(201);
  });

  it.each([
    ['a gap', '8-11'],
    ['an overlap', '3-6'],
    ['a replay', '0-3'],
  ])('4. a wrong start (%s) returns 416 with the true Range, and appends nothing', async (_, range) => {
    const location = await client.startUpload(name);
    await client.patch(location, 'four', '0-3');
    const response = await client.patch(location, 'next', range);
    expect(response.headers.get('range')).toBe('0-3');
    expect(await refusal(response)).toBe('416 BLOB_UPLOAD_INVALID');
    expect(await rangeOf(location)).toBe('0-3');
    expect((await client.patch(location, ' more', '4-8')).status).toBe(202);
    expect((await client.commit(location, digestOf('four more'))).status).toBe(201);
  });

  it('4. a first chunk that does not start at 0 gets 416', async () => {
    const location = await client.startUpload(name);
    const response = await client.patch(location, 'late', '5-8');
    expect(response.headers.get('range')).toBe('0-0');
    expect(await refusal(response)).toBe('416 BLOB_UPLOAD_INVALID');
  });

  it.each([
    ['shorter', '0-9'],
    ['longer', '0-1'],
  ])('4. a Content-Length %s than the range says is SIZE_INVALID', async (_, range) => {
    const location = await client.startUpload(name);
    expect(await refusal(await client.patch(location, 'five!', range))).toBe('400 SIZE_INVALID');
    expect(await rangeOf(location)).toBe('0-0');
  });

  it.each([
    ['shorter', '0-9', '0-4'],
    ['longer', '0-1', '0-1'],
  ])('4. a chunked body %s than the range says is SIZE_INVALID', async (_, range, kept) => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    const head = requestHead('PATCH', location, [
      ['Transfer-Encoding', 'chunked'],
      ['Content-Range', range],
    ]);
    await connection.send(head, httpChunk('five!'), httpChunk(''));
    expect(await refusal(await connection.response())).toBe('400 SIZE_INVALID');
    connection.leave();
    // No byte beyond the range is kept; bytes within it are at their right offset.
    expect(await rangeOf(location)).toBe(kept);
  });

  it.each([
    'bytes=0-4',
    'bytes 0-4/5',
    '0-4/5',
    '-4',
    '0-',
    '4-0',
    'a-b',
    '0--1',
    '0x0-0x4',
    '0-99999999999999999999',
  ])('4. the malformed Content-Range "%s" is a 400', async (range) => {
    const location = await client.startUpload(name);
    expect(await refusal(await client.patch(location, 'five!', range))).toBe('400 BLOB_UPLOAD_INVALID');
    expect(await rangeOf(location)).toBe('0-0');
  });

  it('5. PATCH returns 202 with Location and Range 0-<last byte>', async () => {
    const location = await client.startUpload(name);
    const response = await client.patch(location, LAYER);
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe(`${location}?offset=${LAYER.length}`);
    expect(response.headers.get('range')).toBe(`0-${LAYER.length - 1}`);
    expect(response.headers.get('docker-upload-uuid')).toMatch(UUID);
  });

  it('5. an empty session says 0-0', async () => {
    const location = await client.startUpload(name);
    expect((await client.patch(location, '')).headers.get('range')).toBe('0-0');
    expect(await rangeOf(location)).toBe('0-0');
  });

  it.each([
    ['beyond the end', '9-12'],
    ['before it', '0-3'],
  ])(
    '6. PUT with a Content-Range %s returns 416 and neither appends nor ends the session',
    async (_, range) => {
      const location = await client.startUpload(name);
      await client.patch(location, 'four');
      const response = await client.commit(location, digestOf('four more'), 'more', range);
      expect(response.headers.get('range')).toBe('0-3');
      expect(await refusal(response)).toBe('416 BLOB_UPLOAD_INVALID');
      expect(await rangeOf(location)).toBe('0-3');
      expect((await client.commit(location, digestOf('four more'), ' more', '4-8')).status).toBe(201);
    },
  );

  it.each([
    ['the last chunk', '0-3'],
    ['a chunk that starts at the end', '4-4'],
    ['nothing that is right', '7-9'],
    ['a malformed range', 'bytes 0-3/4'],
  ])('6. a PUT without a body ignores the Content-Range of %s', async (_, range) => {
    const location = await client.startUpload(name);
    await client.patch(location, 'four', '0-3');
    const response = await client.fetch(withDigest(location, digestOf('four')), {
      method: 'PUT',
      headers: { 'Content-Range': range, 'Content-Length': '0' },
    });
    expect(response.status).toBe(201);
  });

  it('7. GET on every Location of the session returns its offset', async () => {
    const first = await client.uploadLocation(name);
    const second = (await client.patch(first, 'four')).headers.get('location') ?? '';
    const bare = second.replace(/\?.*/, '');
    const all = [first, second, bare, withDigest(second, digestOf('four')), `${first}?digest=`];
    for (const location of all) {
      const response = await status(location);
      expect(response.status).toBe(204);
      expect(response.headers.get('location')).toBe(`${bare}?offset=4`);
      expect(response.headers.get('range')).toBe('0-3');
      expect(response.headers.has('content-length')).toBe(false);
    }
  });
});
