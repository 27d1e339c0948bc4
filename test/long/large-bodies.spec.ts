import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freshName } from '../support/fresh-name.js';
import { duplicatedSockets, unreadBytes } from '../support/kernel-queues.js';
import { ORDINARY_BODIES } from '../support/ordinary-bodies.js';
import { httpChunk, RawConnection, type RawHeaders, requestHead } from '../support/raw-http.js';
import { digestOf, refusal, RegistryClient, withDigest } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { eventually, until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Larger than any buffer, so that the body is read in several pieces. */
const LARGE = 5 * MIB + 321;
const CHECKPOINT_BYTES = MIB;

/** The ways in which Berth reads a body from its connection. */
const PATHS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'read directly': {},
  'read through the parser': ORDINARY_BODIES,
  'read over TLS': { TLS: 'auto' },
};

const FRAMINGS = ['Content-Length', 'chunked'] as const;
type Framing = (typeof FRAMINGS)[number];

/** The header of a body, and the body, in chunks of some size if it is chunked. */
function framed(framing: Framing, bytes: Buffer, chunkBytes = 100_000): [RawHeaders[number], Buffer] {
  if (framing === 'Content-Length') return [['Content-Length', bytes.length], bytes];
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes)
    chunks.push(httpChunk(bytes.subarray(at, at + chunkBytes)));
  return [['Transfer-Encoding', 'chunked'], Buffer.concat([...chunks, httpChunk('')])];
}

/** The head and the beginning of a body of which more is announced. */
function begun(framing: Framing, bytes: Buffer): [RawHeaders[number], Buffer] {
  if (framing === 'Content-Length') return [['Content-Length', 2 * bytes.length], bytes];
  const [header, all] = framed(framing, bytes);
  return [header, all.subarray(0, -httpChunk('').length)];
}

describe.each(Object.entries(PATHS))('large bodies, %s', (path, settings) => {
  let berth: OwnBerth;
  let client: RegistryClient;
  const name = freshName('large');

  beforeAll(async () => {
    berth = await OwnBerth.start({ ...settings, UPLOAD_CHECKPOINT_BYTES: String(CHECKPOINT_BYTES) });
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  // The other ways read bodies as Node does.
  const [requestCount, connectionCount] = path === 'read directly' ? [60, 150] : [15, 30];

  const idOf = (location: string) => location.split('/').at(-1) ?? '';
  const connect = () => RawConnection.open(berth.url);
  const openFiles = () => readdirSync(`/proc/${berth.pid}/fd`).length;

  /** The row of a session, once no request writes to it. */
  async function atRest(location: string): Promise<number> {
    const sql = 'SELECT offset_bytes::int AS offset, lease_holder FROM uploads WHERE id = $1';
    const ask = () => berth.query<{ offset: number; lease_holder: string | null }>(sql, [idOf(location)]);
    const [row] = await eventually(ask, ([seen]) => seen?.lease_holder === null);
    return row?.offset ?? -1;
  }

  /** Waits until Berth has read all that clients have sent. A reset loses what it has not. */
  const allRead = () => until('everything to be read', () => unreadBytes(berth.url) === 0);

  const offsetOf = async (location: string) => {
    const sql = 'SELECT offset_bytes::int AS offset FROM uploads WHERE id = $1';
    return (await berth.query<{ offset: number }>(sql, [idOf(location)]))[0]?.offset ?? -1;
  };

  /** Expects that the session has these bytes: they become a blob under their digest. */
  async function expectStored(location: string, bytes: Buffer): Promise<void> {
    expect(await atRest(location)).toBe(bytes.length);
    expect((await client.commit(location, digestOf(bytes))).status).toBe(201);
    expect((await client.blob(name, digestOf(bytes))).equals(bytes)).toBe(true);
  }

  /** Sends a PATCH of a whole body on a connection of its own. */
  async function patch(location: string, framing: Framing, bytes: Buffer, chunkBytes?: number) {
    const connection = await connect();
    const [header, body] = framed(framing, bytes, chunkBytes);
    await connection.send(requestHead('PATCH', location, [header]), body);
    const response = await connection.response();
    connection.leave();
    return response;
  }

  describe.each(FRAMINGS)('%s', (framing) => {
    // Where buffers end, and where bodies begin to be read directly. Over TLS, as through the parser.
    const sizes = path === 'read over TLS' ? [MIB] : [0, 64 * KIB, 256 * KIB, MIB, 2 * MIB];
    it.each(sizes.flatMap((size) => [size - 1, size, size + 1]).filter((n) => n >= 0))(
      'of %i bytes',
      async (length) => {
        const bytes = patternBytes(length, length + 1);
        for (const chunkBytes of framing === 'chunked' ? [MIB, 4096] : [1]) {
          const location = await client.startUpload(name);
          const response = await patch(location, framing, bytes, chunkBytes);
          expect([response.status, response.headers.get('range')]).toEqual([
            202,
            `0-${Math.max(0, length - 1)}`,
          ]);
          await expectStored(location, bytes);
        }
      },
    );

    it('keeps the connection, request after request, and leaves no descriptor', async () => {
      const connection = await connect();
      const location = await client.startUpload(name);
      const before = openFiles();
      const bodies = Array.from({ length: requestCount }, (_, n) =>
        patternBytes(700 * KIB + n * 7_001, n + 1),
      );
      for (const bytes of bodies) {
        const [header, body] = framed(framing, bytes);
        await connection.send(requestHead('PATCH', location, [header]), body);
        expect((await connection.response()).status).toBe(202);
        await connection.send(requestHead('GET', '/v2/'));
        expect((await connection.response()).status).toBe(200);
      }
      await until('its descriptors to be closed', () => openFiles() <= before + 1);
      connection.leave();
      await expectStored(location, Buffer.concat(bodies));
    });

    it('is followed by pipelined requests in the same segment', async () => {
      const location = await client.startUpload(name);
      const bodies = [LARGE, 3 * MIB, 10, 1_500_000].map((length, n) => patternBytes(length, n + 40));
      const whole = Buffer.concat(bodies);
      const parts = bodies.flatMap((bytes, n) => {
        const [header, body] = framed(n === 1 ? 'Content-Length' : framing, bytes);
        return [requestHead('PATCH', location, [header]), body];
      });
      const digest = digestOf(whole);
      const connection = await connect();
      const sent = connection.send(
        ...parts,
        requestHead('PUT', withDigest(location, digest), [['Content-Length', 0]]),
        requestHead('GET', `/v2/${name}/blobs/${digest}`),
      );
      const responses = [];
      for (let n = 0; n < bodies.length + 2; n += 1) responses.push(await connection.response());
      await sent;
      connection.leave();
      expect(responses.map(({ status }) => status)).toEqual([202, 202, 202, 202, 201, 200]);
      expect(Buffer.from(await (responses.at(-1) as Response).arrayBuffer()).equals(whole)).toBe(true);
    });

    it('is sent after Expect: 100-continue, and the connection is kept', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(LARGE, 50);
      const [header, body] = framed(framing, bytes);
      const connection = await connect();
      await connection.send(requestHead('PATCH', location, [header, ['Expect', '100-continue']]));
      expect(String(await connection.some())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      await connection.send(body);
      expect((await connection.response()).status).toBe(202);
      await connection.send(requestHead('GET', '/v2/'));
      expect((await connection.response()).status).toBe(200);
      connection.leave();
      await expectStored(location, bytes);
    });

    it('is the last of a connection with Connection: close', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(LARGE, 51);
      const [header, body] = framed(framing, bytes);
      const connection = await connect();
      await connection.send(requestHead('PATCH', location, [header, ['Connection', 'close']]), body);
      const response = await connection.response();
      expect([response.status, response.headers.get('connection')]).toEqual([202, 'close']);
      expect(await connection.rest()).toHaveLength(0);
      await expectStored(location, bytes);
    });

    it('is stored if there is a response to a client that half-closes right behind it', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(LARGE, 52);
      const [header, body] = framed(framing, bytes);
      const connection = await connect();
      await connection.send(requestHead('PATCH', location, [header]), body);
      connection.finishSending();
      const rest = await connection.rest();
      // Node may close before the response is sent, and drop what waits to be read.
      if (rest.length > 0) expect(String(rest)).toMatch(/^HTTP\/1\.1 202 /);
      connection.leave();
      const offset = await atRest(location);
      expect(offset).toBeGreaterThanOrEqual(rest.length > 0 ? LARGE : 0);
      await expectStored(location, bytes.subarray(0, offset));
    });

    it('is kept as far as it came, and refused, if the client half-closes within it', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(LARGE, 53);
      const [header, body] = begun(framing, bytes);
      const connection = await connect();
      await connection.send(requestHead('PATCH', location, [header]), body);
      // All but the bytes after the last checkpoint: they are in buffers.
      await until('its checkpoints', async () => (await offsetOf(location)) >= LARGE - CHECKPOINT_BYTES);
      connection.finishSending();
      expect(await refusal(await connection.response())).toBe('400 UNSUPPORTED');
      expect(await connection.rest()).toHaveLength(0);
      await expectStored(location, bytes);
    });

    it.each(path === 'read over TLS' ? ['leaves'] : ['leaves', 'resets the connection'])(
      'is kept as far as it came if the client %s within it',
      async (how) => {
        const location = await client.startUpload(name);
        const bytes = patternBytes(LARGE, 54);
        const [header, body] = begun(framing, bytes);
        const connection = await connect();
        await connection.send(requestHead('PATCH', location, [header]), body);
        await until('its checkpoints', async () => (await offsetOf(location)) >= LARGE - CHECKPOINT_BYTES);
        await allRead();
        if (how === 'leaves') connection.leave();
        else connection.reset();
        await expectStored(location, bytes);
      },
    );

    it('continues where it broke, at the Location with that offset', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(2 * LARGE, 55);
      const [header, body] = begun(framing, bytes.subarray(0, LARGE));
      const connection = await connect();
      await connection.send(requestHead('PATCH', location, [header]), body);
      await until('a checkpoint', async () => (await offsetOf(location)) >= CHECKPOINT_BYTES);
      connection.leave();
      const offset = await atRest(location);
      expect(offset).toBeGreaterThanOrEqual(CHECKPOINT_BYTES);
      const response = await patch(`${location}?offset=${offset}`, framing, bytes.subarray(offset));
      expect(response.status).toBe(202);
      await expectStored(location, bytes);
    });

    it('of another digest than its PUT says is refused; its bytes and the connection are kept', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(LARGE, 56);
      const [header, body] = framed(framing, bytes);
      const connection = await connect();
      await connection.send(requestHead('PUT', withDigest(location, digestOf('other')), [header]), body);
      expect(await refusal(await connection.response())).toBe('400 DIGEST_INVALID');
      await connection.send(requestHead('GET', '/v2/'));
      expect((await connection.response()).status).toBe(200);
      connection.leave();
      await expectStored(location, bytes);
    });

    it('at a wrong offset is refused while it is sent, and nothing of it is stored', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(8 * MIB, 57);
      const [header, body] = framed(framing, bytes);
      const connection = await connect();
      const range = ['Content-Range', `5-${4 + bytes.length}`] as const;
      const sent = connection
        .send(requestHead('PATCH', location, [header, range]), body)
        .catch(() => undefined);
      const response = await connection.response();
      expect(response.headers.get('connection')).toBe('close');
      expect(await refusal(response)).toBe('416 BLOB_UPLOAD_INVALID');
      await sent;
      expect(await connection.rest()).toHaveLength(0);
      expect(await atRest(location)).toBe(0);
    });

    it('that another request takes over is refused, and what came is kept', async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(2 * LARGE, 58);
      const [header, body] = begun(framing, bytes.subarray(0, LARGE));
      const connection = await connect();
      await connection.send(requestHead('PATCH', location, [header]), body);
      await until('its checkpoints', async () => (await offsetOf(location)) >= LARGE - CHECKPOINT_BYTES);
      await allRead();
      const status = await patch(location, framing, bytes.subarray(LARGE));
      expect(status.status).toBe(202);
      const response = await connection.response();
      expect(await refusal(response)).toBe('429 TOOMANYREQUESTS');
      expect(response.headers.get('connection')).toBe('close');
      connection.leave();
      await expectStored(location, bytes);
    });

    it(`is read from ${connectionCount} connections at once, and leaves no descriptor`, async () => {
      const before = openFiles();
      const bytes = patternBytes(1_200_000, 59);
      const [header, body] = framed(framing, bytes);
      const locations: string[] = [];
      // One after the other: the client keeps its connections.
      for (let n = 0; n < connectionCount; n += 1) locations.push(await client.startUpload(name));
      const push = async (location: string) => {
        const connection = await connect();
        await connection.send(requestHead('PATCH', location, [header]), body.subarray(0, 600_000));
        await delay(1);
        await connection.send(body.subarray(600_000));
        const { status } = await connection.response();
        connection.leave();
        return status;
      };
      const statuses = await Promise.all(locations.map(push));
      expect(new Set(statuses)).toEqual(new Set([202]));
      await until('its descriptors to be closed', () => openFiles() <= before + 10);
      for (const location of locations) await client.fetch(location, { method: 'DELETE' });
    });

    it('counts its bytes in the line of the log', async () => {
      const location = await client.startUpload(name);
      berth.forgetLog();
      expect((await patch(location, framing, patternBytes(LARGE, 60))).status).toBe(202);
      const line = () => Promise.resolve(berth.log().find(({ method }) => method === 'PATCH'));
      expect(await eventually(line, (found) => found !== undefined)).toMatchObject({
        status: 202,
        bytesIn: LARGE,
        uploadId: idOf(location),
      });
    });
  });

  it('chunked, longer than its Content-Range says, is refused; bytes within the range are kept', async () => {
    const location = await client.startUpload(name);
    const bytes = patternBytes(LARGE, 61);
    const [header, body] = framed('chunked', bytes);
    const connection = await connect();
    const range = ['Content-Range', `0-${2 * MIB}`] as const;
    const sent = connection
      .send(requestHead('PATCH', location, [header, range]), body)
      .catch(() => undefined);
    expect(await refusal(await connection.response())).toBe('400 SIZE_INVALID');
    await sent;
    connection.leave();
    await expectStored(location, bytes.subarray(0, 2 * MIB + 1));
  });

  it.each([
    ['no size', 400, 'xyz\r\n'],
    ['a negative size', 400, '-5\r\n'],
    ['an empty size', 400, '\r\n'],
    ['a size of 17 digits', 400, 'FFFFFFFFFFFFFFFFF\r\n'],
    ['a size that ends with LF alone', 400, '5\nhello\r\n'],
    ['data without the end of its line', 400, '5\r\nhelloX'],
    ['data whose line ends with LF alone', 400, '5\r\nhello\n'],
    ['an extension of 20 KiB', 400, `5;${'x'.repeat(20_000)}\r\nhello\r\n`],
    ['a malformed trailer', 400, '0\r\nno colon\r\n\r\n'],
    ['a trailer of 40 KiB', 431, `0\r\nA: ${'x'.repeat(40_000)}\r\n\r\n`],
  ])('chunked, that goes on with %s, is refused; what came before is kept', async (_, status, rest) => {
    const location = await client.startUpload(name);
    const bytes = patternBytes(LARGE, 62);
    const [header, body] = begun('chunked', bytes);
    const connection = await connect();
    await connection.send(requestHead('PATCH', location, [header]), body);
    await until('its checkpoints', async () => (await offsetOf(location)) >= LARGE - CHECKPOINT_BYTES);
    await allRead();
    await connection.send(rest);
    const response = await connection.response();
    expect(response.headers.get('connection')).toBe('close');
    expect(await refusal(response)).toBe(`${status} UNSUPPORTED`);
    expect(await connection.rest()).toHaveLength(0);
    connection.leave();
    const offset = await atRest(location);
    expect([LARGE, LARGE + 5]).toContain(offset);
    const kept = Buffer.concat([bytes, Buffer.from('hello')]).subarray(0, offset);
    await expectStored(location, kept);
  });

  it('chunked, with its framing sent byte by byte', async () => {
    const location = await client.startUpload(name);
    const bytes = patternBytes(LARGE, 63);
    const [header, body] = begun('chunked', bytes);
    const connection = await connect();
    await connection.send(requestHead('PATCH', location, [header]), body);
    const rest =
      `000a;name="va;lue"\r\n0123456789\r\nA\r\n\r\n345678\r\n\r\n1\r\n0\r\n` +
      `0;last\r\nX-Trailer: one\r\nAnother: two\r\n\r\n${requestHead('GET', '/v2/')}`;
    for (const byte of rest) {
      await connection.send(byte);
      await delay(1);
    }
    expect((await connection.response()).status).toBe(202);
    expect((await connection.response()).status).toBe(200);
    connection.leave();
    await expectStored(location, Buffer.concat([bytes, Buffer.from('0123456789\r\n345678\r\n0')]));
  });

  it('in 200,000 chunks of a byte', async () => {
    const location = await client.startUpload(name);
    const bytes = patternBytes(200_000, 64);
    expect((await patch(location, 'chunked', bytes, 1)).status).toBe(202);
    await expectStored(location, bytes);
  });

  it('of HTTP/1.0, with a Content-Length', async () => {
    const location = await client.startUpload(name);
    const bytes = patternBytes(LARGE, 65);
    const head = requestHead('PATCH', location, [['Content-Length', LARGE]]).replace('HTTP/1.1', 'HTTP/1.0');
    const connection = await connect();
    await connection.send(head, bytes);
    const response = await connection.response();
    expect([response.status, response.headers.get('connection')]).toEqual([202, 'close']);
    expect(await connection.rest()).toHaveLength(0);
    await expectStored(location, bytes);
  });

  /** How many bodies are read directly now. Each of them has a second descriptor of its socket. */
  const readDirectly = () => duplicatedSockets(berth.pid);

  it.each(FRAMINGS)('%s, from eight connections at once, also after many that failed', async (framing) => {
    const beginOne = async () => {
      const location = await client.startUpload(name);
      const bytes = patternBytes(2 * MIB, 66);
      const [header, body] = begun(framing, bytes);
      const connection = await connect();
      await connection.send(requestHead('PATCH', location, [header]), body);
      return { connection, location };
    };
    const endings: ((connection: RawConnection) => unknown)[] = [
      (connection) => connection.leave(),
      (connection) => connection.finishSending(),
      (connection) => (framing === 'chunked' ? connection.send('malformed') : connection.finishSending()),
      (connection) => (path === 'read over TLS' ? connection.leave() : connection.reset()),
    ];
    for (let n = 0; n < 24; n += 1) {
      const { connection, location } = await beginOne();
      if (n % 3 === 0) await allRead();
      await endings[n % endings.length]?.(connection);
      await connection.rest();
      connection.leave();
      await client.fetch(location, { method: 'DELETE' });
    }
    await until('nothing to be left', () => readDirectly() === 0);
    const all = await Promise.all(Array.from({ length: 8 }, beginOne));
    await allRead();
    expect(readDirectly()).toBe(path === 'read directly' ? 8 : 0);
    for (const { connection, location } of all) {
      connection.leave();
      await client.fetch(location, { method: 'DELETE' });
    }
    await until('nothing to be left', () => readDirectly() === 0);
  });
});
