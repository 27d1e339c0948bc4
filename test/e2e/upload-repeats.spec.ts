import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient, specErrors, withDigest } from '../support/registry-client.js';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { patternBytes } from '../support/upload-probe.js';
import { bytesArrived, uploadFiles, uploadId } from '../support/stored-files.js';

/** More bytes than a driver keeps in an upload's row. */
const LAYER_BYTES = 100 * 1024;

describe('a body that is sent again to a Location that was used before', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  const name = freshName('again');

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  const locationIn = (response: Response) => response.headers.get('location') ?? '';
  const layerOf = (seed: number) => patternBytes(LAYER_BYTES, seed);

  /** Sends a part of a body and disconnects, when the driver has all that the session then has. */
  async function cutOff(method: string, location: string, part: Uint8Array, start: number, length: number) {
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead(method, location, [['Content-Length', length]]), part);
    await bytesArrived(berth, location, start + part.length);
    connection.leave();
  }

  /** Patches and returns the Location in the response. */
  async function append(location: string, bytes: Uint8Array): Promise<string> {
    const response = await client.patch(location, bytes);
    expect(response.status).toBe(202);
    return locationIn(response);
  }

  async function expectBlob(bytes: Uint8Array): Promise<void> {
    expect(digestOf(await client.blob(name, digestOf(bytes)))).toBe(digestOf(bytes));
  }

  it('6. a closing PUT of the whole layer that was cut off succeeds', async () => {
    const bytes = layerOf(1);
    const location = await client.uploadLocation(name);
    const closing = withDigest(location, digestOf(bytes));
    await cutOff('PUT', closing, bytes.subarray(0, 40_000), 0, bytes.length);
    await cutOff('PUT', closing, bytes.subarray(0, 70_000), 0, bytes.length);
    expect((await client.commit(location, digestOf(bytes), bytes)).status).toBe(201);
    await expectBlob(bytes);
    expect(await uploadFiles(berth)).not.toContain(uploadId(location));
    // As if its response was lost, too.
    expect((await client.commit(location, digestOf(bytes), bytes)).status).toBe(201);
  });

  it('6. a closing PUT of a last chunk that was cut off succeeds', async () => {
    const bytes = layerOf(2);
    const second = await append(await client.uploadLocation(name), bytes.subarray(0, 30_000));
    const rest = bytes.subarray(30_000);
    await cutOff('PUT', withDigest(second, digestOf(bytes)), rest.subarray(0, 20_000), 30_000, rest.length);
    expect((await client.commit(second, digestOf(bytes), rest)).status).toBe(201);
    await expectBlob(bytes);
  });

  it('6. a PATCH whose response was lost appends nothing', async () => {
    const bytes = layerOf(3);
    const first = await client.uploadLocation(name);
    const second = await append(first, bytes.subarray(0, 30_000));
    expect(await append(first, bytes.subarray(0, 30_000))).toBe(second);
    const third = await append(second, bytes.subarray(30_000, 60_000));
    expect(await append(second, bytes.subarray(30_000, 60_000))).toBe(third);
    expect((await client.commit(third, digestOf(bytes), bytes.subarray(60_000))).status).toBe(201);
    await expectBlob(bytes);
  });

  it('6. a PATCH that was cut off appends what is missing, also without a length', async () => {
    const bytes = layerOf(4);
    const location = await client.uploadLocation(name);
    await cutOff('PATCH', location, bytes.subarray(0, 40_000), 0, bytes.length);
    const connection = await RawConnection.open(berth.url);
    const head = requestHead('PATCH', location, [['Transfer-Encoding', 'chunked']]);
    await connection.send(head, httpChunk(bytes.subarray(0, 39_999)), httpChunk(bytes.subarray(39_999)));
    await connection.send(httpChunk(''));
    const response = await connection.response();
    connection.leave();
    expect([response.status, response.headers.get('range')]).toEqual([202, `0-${bytes.length - 1}`]);
    expect((await client.commit(locationIn(response), digestOf(bytes))).status).toBe(201);
    await expectBlob(bytes);
  });

  it.each([
    ['another body', 'differ', 'PATCH', (bytes: Buffer) => Buffer.from(bytes).fill(1, 59_000)],
    ['another body', 'differ', 'PUT', (bytes: Buffer) => Buffer.from(bytes).fill(1, 0, 1)],
    [
      'a body that ends before the offset',
      'ends before',
      'PATCH',
      (bytes: Buffer) => bytes.subarray(0, 10_000),
    ],
    [
      'a body that ends before the offset',
      'ends before',
      'PUT',
      (bytes: Buffer) => bytes.subarray(0, 59_999),
    ],
  ])('6. %s gets 416 with the true Range and Location, and why: %s (%s)', async (_, why, method, bodyOf) => {
    const bytes = layerOf(5);
    const first = await client.uploadLocation(name);
    const second = await append(first, bytes.subarray(0, 60_000));
    const body = new Uint8Array(bodyOf(bytes));
    const response = await client.fetch(withDigest(first, digestOf(bytes)), { method, body });
    expect(response.headers.get('range')).toBe('0-59999');
    expect(locationIn(response)).toBe(second);
    const [error] = await specErrors(response.clone());
    expect(error?.message).toMatch(
      new RegExp(`^this Location is for a body that starts at byte 0, and .*${why}`),
    );
    expect(error?.message).toMatch(/; continue at byte 60000 with the Location of this response$/);
    expect(await refusal(response)).toBe('416 BLOB_UPLOAD_INVALID');
    const third = await append(second, bytes.subarray(60_000));
    expect((await client.commit(third, digestOf(bytes))).status).toBe(201);
  });

  it('6. a body at a Location before the last one gets 416', async () => {
    const bytes = layerOf(6);
    const second = await append(await client.uploadLocation(name), bytes.subarray(0, 10));
    const third = await append(second, bytes.subarray(10, 20));
    const fourth = await append(third, bytes.subarray(20, 30));
    const response = await client.patch(second, bytes.subarray(10, 30));
    expect([response.status, locationIn(response)]).toEqual([416, fourth]);
  });

  it('6. a Location beyond the offset gets 416', async () => {
    const location = (await client.uploadLocation(name)).replace('offset=0', 'offset=5');
    const response = await client.patch(location, 'later');
    expect([response.status, response.headers.get('range')]).toEqual([416, '0-0']);
  });

  it('6. a PUT without a body commits at every Location', async () => {
    const first = await client.uploadLocation(name);
    await append(first, Buffer.from('content'));
    expect((await client.commit(first, digestOf('content'))).status).toBe(201);
  });

  it('6. the bare path of a session appends, whatever the offset is', async () => {
    const path = await client.startUpload(name);
    await append(path, Buffer.from('twice '));
    await append(path, Buffer.from('twice '));
    expect((await client.commit(path, digestOf('twice twice '))).status).toBe(201);
  });

  it('8. a client may append ?digest= to a Location', async () => {
    const location = await append(await client.uploadLocation(name), Buffer.from('a second '));
    const path = `${location}?digest=${digestOf('a second mark')}`;
    expect((await client.fetch(path, { method: 'PUT', body: 'mark' })).status).toBe(201);
  });

  it('8. &digest= after a path without a query is refused with a sentence', async () => {
    const path = await client.startUpload(name);
    const response = await client.fetch(`${path}&digest=${digestOf('')}`, { method: 'PUT' });
    const [error] = await specErrors(response);
    expect([response.status, error?.code]).toEqual([400, 'BLOB_UPLOAD_INVALID']);
    expect(error?.message).toBe('a query parameter follows the path of the upload with &; expected ?');
  });

  it.each(['', 'x', '-1', '1e3', '99999999999999999999', '0&offset=0'])(
    '6. offset=%s is a 400, except for the status',
    async (offset) => {
      const path = await client.startUpload(name);
      const location = `${path}?offset=${offset}`;
      expect(await refusal(await client.patch(location, 'a'))).toBe('400 BLOB_UPLOAD_INVALID');
      expect(await refusal(await client.commit(location, digestOf('a'), 'a'))).toBe(
        '400 BLOB_UPLOAD_INVALID',
      );
      expect((await client.fetch(location)).status).toBe(204);
      expect((await client.fetch(location, { method: 'DELETE' })).status).toBe(204);
    },
  );
});
