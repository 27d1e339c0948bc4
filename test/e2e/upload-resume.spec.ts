import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { eventually } from '../support/until.js';
import { bytesArrived } from '../support/stored-files.js';

const KIB = 1024;

describe('an interrupted upload', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  const name = freshName('resume');

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  const rangeOf = async (location: string) => (await client.fetch(location)).headers.get('range');

  /** Sends the first part of a longer body. Resolves when the driver has it. */
  async function beginBody(method: string, path: string, begun: Uint8Array, length: number) {
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead(method, path, [['Content-Length', length]]), begun);
    await bytesArrived(berth, path, begun.length);
    return connection;
  }

  it('12. a client that leaves in the middle of a PATCH finds every byte and resumes', async () => {
    const bytes = randomBytes(200 * KIB);
    const location = await client.startUpload(name);
    const connection = await beginBody('PATCH', location, bytes.subarray(0, 120_000), bytes.length);
    connection.leave();

    expect(
      await eventually(
        () => rangeOf(location),
        (range) => range !== '0-0',
      ),
    ).toBe('0-119999');
    const rest = await client.patch(location, bytes.subarray(120_000), `120000-${bytes.length - 1}`);
    expect(rest.status).toBe(202);
    expect((await client.commit(location, digestOf(bytes))).status).toBe(201);
    expect(digestOf(await client.blob(name, digestOf(bytes)))).toBe(digestOf(bytes));
  });

  it('12. a client that leaves in the middle of a PUT does not end its upload', async () => {
    const bytes = randomBytes(100 * KIB);
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    const path = `${location}?digest=${digestOf(bytes)}`;
    await connection.send(
      requestHead('PUT', path, [['Content-Length', bytes.length]]),
      bytes.subarray(0, 40_000),
    );
    await bytesArrived(berth, location, 40_000);
    connection.leave();

    expect(
      await eventually(
        () => rangeOf(location),
        (range) => range !== '0-0',
      ),
    ).toBe('0-39999');
    expect((await client.commit(location, digestOf(bytes), bytes.subarray(40_000))).status).toBe(201);
  });

  it('12. a client that leaves a chunked body without its end does not end the upload', async () => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    const head = requestHead('PUT', `${location}?digest=${digestOf('half')}`, [
      ['Transfer-Encoding', 'chunked'],
    ]);
    await connection.send(head, httpChunk('half'));
    await bytesArrived(berth, location, 4);
    connection.leave();

    expect(
      await eventually(
        () => rangeOf(location),
        (range) => range !== '0-0',
      ),
    ).toBe('0-3');
    expect((await client.fetch(`/v2/${name}/blobs/${digestOf('half')}`)).status).toBe(404);
    expect((await client.commit(location, digestOf('half and half'), ' and half')).status).toBe(201);
  });

  it('12. a client that resumes at once does not wait for its dead connection', async () => {
    const location = await client.startUpload(name);
    const stuck = await beginBody('PATCH', location, Buffer.from('first '), 1_000);
    const back = await client.patch(location, 'second', '6-11');
    expect([back.status, back.headers.get('range')]).toEqual([202, '0-11']);
    // The older request had to release the session and reports that.
    const refused = await stuck.response();
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await refusal(refused)).toBe('429 TOOMANYREQUESTS');
    stuck.leave();
    expect((await client.commit(location, digestOf('first second'))).status).toBe(201);
  });

  it('12. two streams to one session at once never interleave', async () => {
    const [a, b] = [Buffer.alloc(150 * KIB, 'a'), Buffer.alloc(150 * KIB, 'b')];
    const location = await client.startUpload(name);
    const send = async (bytes: Buffer) => {
      const connection = await RawConnection.open(berth.url);
      const head = requestHead('PATCH', location, [['Content-Length', bytes.length]]);
      await connection.send(head, bytes.subarray(0, KIB));
      // The server may stop reading; its response says so.
      await connection.send(bytes.subarray(KIB)).catch(() => undefined);
      const { status } = await connection.response();
      connection.leave();
      return status;
    };
    const statuses = await Promise.all([send(a), send(b)]);
    for (const status of statuses) expect([202, 429]).toContain(status);
    expect(statuses).toContain(202);

    // The session has one of the two whole, before or after a prefix of the other one.
    const length = Number((await rangeOf(location))?.slice(2)) + 1;
    const candidates = [
      [a, b],
      [b, a],
    ].flatMap(([x, y]) => [
      Buffer.concat([x!, y!.subarray(0, length - x!.length)]),
      Buffer.concat([x!.subarray(0, length - y!.length), y!]),
    ]);
    const committed: number[] = [];
    for (const candidate of candidates)
      committed.push((await client.commit(location, digestOf(candidate))).status);
    expect(committed).toContain(201);
  });

  it('12. of many requests for the same chunk at most one appends it', async () => {
    const chunk = randomBytes(20 * KIB);
    const location = await client.startUpload(name);
    const range = `0-${chunk.length - 1}`;
    const responses = await Promise.all(
      Array.from({ length: 8 }, () => client.patch(location, chunk, range)),
    );
    const statuses = responses.map(({ status }) => status);
    for (const status of statuses) expect([202, 416, 429]).toContain(status);
    const appended = statuses.filter((status) => status === 202).length;
    expect(appended).toBeLessThanOrEqual(1);

    // A request that had to release the session leaves a prefix; the others do not start there.
    const told = await rangeOf(location);
    if (appended === 1) expect(told).toBe(range);
    const length = told === '0-0' ? 0 : Number(told?.slice(2)) + 1;
    expect((await client.commit(location, digestOf(chunk), chunk.subarray(length))).status).toBe(201);
  });
});
