import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { httpChunk, RawConnection, type RawHeaders, requestHead } from '../support/raw-http.js';
import { digestOf, RegistryClient, withDigest } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { patternBytes } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
const ASK: RawHeaders = [['Prefer', 'upload-progress']];
const CHUNKED: RawHeaders = [['Transfer-Encoding', 'chunked']];

/** Checkpoints that renew the lease come after 75 s only. */
export const PROGRESS_SETTINGS = {
  UPLOAD_CHECKPOINT_BYTES: String(MIB),
  UPLOAD_LEASE_SECONDS: '300',
  REQUEST_IDLE_TIMEOUT_SECONDS: '600',
};

/** @param environment how bodies are received. */
export function describeUploadProgress(name: string, environment: NodeJS.ProcessEnv): void {
  describe(`interim responses with the progress of an upload, ${name}`, () => {
    let berth: OwnBerth;
    let client: RegistryClient;

    beforeAll(async () => {
      berth = await OwnBerth.start({ ...PROGRESS_SETTINGS, ...environment });
      client = new RegistryClient(berth.url);
    });
    afterAll(() => berth.dispose());

    const open = async (method: string, path: string, headers: RawHeaders): Promise<RawConnection> => {
      const connection = await RawConnection.open(berth.url);
      await connection.send(requestHead(method, path, headers));
      return connection;
    };

    /** The next response, which must be an interim one of progress. */
    const progress = async (connection: RawConnection): Promise<number> => {
      const { status, headers } = await connection.head();
      expect([status, [...headers.keys()]]).toEqual([104, ['upload-offset']]);
      return Number(headers.get('upload-offset'));
    };

    /** Waits for the interim response with that offset. The ones before it have lower ones. */
    const progressUpTo = async (connection: RawConnection, offset: number, from = -1): Promise<void> => {
      const told = await progress(connection);
      expect(told).toBeGreaterThan(from);
      expect(told).toBeLessThanOrEqual(offset);
      if (told < offset) await progressUpTo(connection, offset, told);
    };

    /** The offsets of the interim responses, and the response after them. */
    const outcome = async (connection: RawConnection): Promise<[offsets: number[], status: number]> => {
      const { status, headers } = await connection.head();
      if (status !== 104) return [[], status];
      const [offsets, last] = await outcome(connection);
      return [[Number(headers.get('upload-offset')), ...offsets], last];
    };

    const durable = async (location: string) =>
      Number((await client.fetch(location)).headers.get('upload-offset'));

    it('come when the session is acquired, and after each checkpoint', async () => {
      const location = await client.startUpload('progress/patch');
      await client.patch(location, 'four');
      const connection = await open('PATCH', location, [...CHUNKED, ...ASK]);
      expect(await progress(connection)).toBe(4);
      const bytes = patternBytes(4 * MIB);
      for (let sent = 0; sent < bytes.length; sent += MIB) {
        await connection.send(httpChunk(bytes.subarray(sent, sent + MIB)));
        await progressUpTo(connection, 4 + sent + MIB, 4 + sent);
        expect(await durable(location)).toBe(4 + sent + MIB);
      }
      await connection.send(httpChunk('end'), httpChunk(''));
      const response = await connection.response();
      expect([response.status, response.headers.get('upload-offset')]).toEqual([
        202,
        String(4 + 4 * MIB + 3),
      ]);
      connection.leave();
    });

    it('come while the client sends slowly, and when it sends nothing more', async () => {
      const location = await client.startUpload('progress/slow');
      const connection = await open('PATCH', location, [...CHUNKED, ...ASK]);
      expect(await progress(connection)).toBe(0);
      await connection.send(httpChunk('1'));
      await progressUpTo(connection, 1, 0);
      const slowly = setInterval(() => void connection.send(httpChunk('.')), 50);
      const told = await progress(connection);
      clearInterval(slowly);
      expect(told).toBeGreaterThan(1);
      expect(await durable(location)).toBeGreaterThanOrEqual(told);
      connection.leave();
    }, 60_000);

    it.each([10, 300_000])(
      'come before the response to a PUT with %i bytes, and never after',
      async (length) => {
        const location = await client.startUpload('progress/put');
        const bytes = patternBytes(length);
        const path = withDigest(location, digestOf(bytes));
        const connection = await open('PUT', path, [['Content-Length', length], ...ASK]);
        expect(await progress(connection)).toBe(0);
        await connection.send(bytes.subarray(0, length / 2));
        await progressUpTo(connection, length / 2, 0);
        await connection.send(bytes.subarray(length / 2));
        const [offsets, status] = await outcome(connection);
        expect(status).toBe(201);
        expect(offsets.every((offset) => offset > length / 2 && offset <= length)).toBe(true);
        connection.finishSending();
        expect(String(await connection.rest())).toBe('');
        expect(await client.blob('progress/put', digestOf(bytes))).toEqual(bytes);
      },
    );

    it('belong to their own request of a connection', async () => {
      const [first, second] = [
        await client.startUpload('progress/a'),
        await client.startUpload('progress/b'),
      ];
      await client.patch(second, 'four');
      const connection = await RawConnection.open(berth.url);
      const headers: RawHeaders = [['Content-Length', MIB + 1], ...ASK];
      const body = patternBytes(MIB + 1);
      const patch = (location: string) => [requestHead('PATCH', location, headers), body];
      await connection.send(...patch(first), ...patch(second), requestHead('GET', first, ASK));
      for (const start of [0, 4]) {
        const [[acquired, ...offsets], status] = await outcome(connection);
        expect([acquired, status]).toEqual([start, 202]);
        expect(offsets.length).toBeGreaterThanOrEqual(1);
        expect(offsets.every((offset) => offset > start && offset <= start + MIB + 1)).toBe(true);
      }
      expect((await connection.head()).status).toBe(204);
      connection.leave();
    });

    it('come before `100 Continue`, because the session is acquired before the body is read', async () => {
      const location = await client.startUpload('progress/expect');
      const headers: RawHeaders = [['Content-Length', 5], ['Expect', '100-continue'], ...ASK];
      const connection = await open('PATCH', location, headers);
      expect(await progress(connection)).toBe(0);
      expect((await connection.head()).status).toBe(100);
      await connection.send('hello');
      expect(await outcome(connection)).toEqual([expect.anything(), 202]);
      connection.leave();
    });

    it('come from the request that writes, until another one interrupts it', async () => {
      const location = await client.startUpload('progress/interrupted');
      const connection = await open('PATCH', location, [...CHUNKED, ...ASK]);
      await connection.send(httpChunk('kept'));
      await progressUpTo(connection, 4);
      expect((await client.patch(location, ' and continued')).status).toBe(202);
      const [offsets, status] = await outcome(connection);
      expect(status).toBe(429);
      expect(offsets.filter((offset) => offset !== 4)).toEqual([]);
      await connection.send(httpChunk(''));
      expect(String(await connection.rest())).not.toContain('HTTP/1.1');
      connection.leave();
    });

    const sized = (more: RawHeaders = []): RawHeaders => [['Content-Length', 2 * MIB], ...more];

    it.each<[who: string, head: (location: string, digest: string) => string]>([
      ['without the header', (location) => requestHead('PATCH', location, sized())],
      [
        'with other preferences',
        (location) =>
          requestHead('PATCH', location, sized([['Prefer', 'upload-takeover, x="a, upload-progress"']])),
      ],
      [
        'that speaks HTTP/1.0',
        (location) => requestHead('PATCH', location, sized(ASK)).replace('HTTP/1.1', 'HTTP/1.0'),
      ],
      [
        'that pushes a whole blob with POST',
        (_, digest) => requestHead('POST', `/v2/progress/none/blobs/uploads/?digest=${digest}`, sized(ASK)),
      ],
    ])('never come to a client %s', async (_who, head) => {
      const location = await client.startUpload('progress/none');
      const bytes = patternBytes(2 * MIB);
      const connection = await RawConnection.open(berth.url);
      await connection.send(head(location, digestOf(bytes)), bytes);
      expect([201, 202]).toContain((await connection.head()).status);
      connection.finishSending();
      expect(String(await connection.rest())).toBe('');
    });

    it('never come with a request that is refused', async () => {
      const location = await client.startUpload('progress/refused');
      const headers: RawHeaders = [['Content-Length', 1], ['Upload-Offset', 5], ...ASK];
      const connection = await open('PATCH', location, headers);
      expect((await connection.head()).status).toBe(416);
      connection.leave();
    });
  });
}
