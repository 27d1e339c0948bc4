import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, OCI_INDEX, OCI_MANIFEST, refusal, RegistryClient } from '../support/registry-client.js';
import { httpChunk, RawConnection, rawRequest, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { eventually } from '../support/until.js';

const MIB = 1024 * 1024;

describe('limits', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  let image: Awaited<ReturnType<RegistryClient['makeImage']>>;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('limits');
    image = await client.makeImage(name);
    await client.putManifest(name, 'stored', image);
  });

  const expectHealthy = async () => {
    expect(await (await client.fetch(`/v2/${name}/manifests/stored`)).text()).toBe(JSON.stringify(image));
    expect((await client.fetch(`/v2/${name}/manifests/huge`)).status).toBe(404);
  };

  describe('a manifest of 100 MB', () => {
    const SIZE = 100_000_000;
    const piece = Buffer.alloc(256 * 1024, ' ');
    const head = (...lengths: [string, string | number][]) =>
      requestHead('PUT', `/v2/${name}/manifests/huge`, [['Content-Type', OCI_MANIFEST], ...lengths]);

    it('20. is refused by its Content-Length, before a byte of it was sent', async () => {
      const connection = await RawConnection.open(berth.url);
      await connection.send(head(['Content-Length', SIZE]));
      expect(await refusal(await connection.response())).toBe('413 MANIFEST_INVALID');
      connection.leave();
      await expectHealthy();
    });

    it('20. that announces no length is refused as soon as it is too long', async () => {
      const connection = await RawConnection.open(berth.url);
      await connection.send(head(['Transfer-Encoding', 'chunked']));
      const state = { isRefused: false };
      const response = connection.response().finally(() => (state.isRefused = true));
      let sent = 0;
      // On a busy machine the connection may be closed before this process has read the response.
      const closed = () => (state.isRefused = true);
      for (; !state.isRefused && sent < SIZE; sent += piece.length) {
        await connection.send(httpChunk(piece)).catch(closed);
        // What the kernel takes at once gives this process no time to read the response.
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await refusal(await response)).toBe('413 MANIFEST_INVALID');
      expect(sent).toBeGreaterThan(4 * MIB);
      // Berth reads up to 64 MiB more, so that the client can read the response. Then it closes the
      // connection.
      expect(sent).toBeLessThan(80 * MIB);
      connection.leave();
      await expectHealthy();
    });

    it('20. a client that reads no response before it has sent everything does not hang', async () => {
      const connection = await RawConnection.open(berth.url);
      await connection.send(head(['Content-Length', SIZE]));
      const sendAll = async () => {
        for (let sent = 0; sent < SIZE; sent += piece.length) {
          await connection.send(piece.subarray(0, Math.min(piece.length, SIZE - sent)));
        }
      };
      // Either everything was read or the connection was closed.
      await sendAll().catch(() => undefined);
      connection.leave();
      await expectHealthy();
    });
  });

  it('20. large manifests in transit use at most 64 MiB of memory, and small ones still pass', async () => {
    const size = 4 * MIB;
    const almostAll = Buffer.alloc(size - 1, ' ');
    const senders = await Promise.all(Array.from({ length: 18 }, () => RawConnection.open(berth.url)));
    const head = requestHead('PUT', `/v2/${name}/manifests/huge`, [
      ['Content-Type', OCI_MANIFEST],
      ['Content-Length', size],
    ]);
    const response = await Promise.race(
      senders.map(async (sender) => {
        await sender.send(head);
        const pending = sender.response();
        await sender.send(almostAll).catch(() => undefined);
        return pending;
      }),
    );
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect((await client.putManifest(name, 'small', image)).status).toBe(201);
    senders.forEach((sender) => sender.leave());
    const content = JSON.stringify(image);
    const large = content + ' '.repeat(size - content.length);
    const isAccepted = ({ status }: Response) => status === 201;
    expect((await eventually(() => client.putManifest(name, 'large', large), isAccepted)).status).toBe(201);
    await expectHealthy();
  });

  const foreign = Array.from({ length: 20_000 }, (_, index) => ({
    mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
    digest: digestOf(`foreign ${index}`),
    size: 1,
  }));
  const put = (reference: string, manifest: object, type = OCI_MANIFEST) =>
    client.putManifest(name, reference, manifest, { 'Content-Type': type });

  it('20. a manifest may have as many layers as its bytes', async () => {
    const manifest = JSON.stringify({ ...image, layers: foreign });
    expect((await put('many', { ...image, layers: foreign })).status).toBe(201);
    expect(await (await client.fetch(`/v2/${name}/manifests/many`)).text()).toBe(manifest);
    const path = `/v2/${name}/manifests/${digestOf(manifest)}`;
    expect((await client.fetch(path, { method: 'DELETE' })).status).toBe(202);
  });

  it.each([
    ['layers', (missing: object[]) => ({ ...image, layers: missing }), OCI_MANIFEST],
    ['children', (manifests: object[]) => ({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }), OCI_INDEX],
  ])('23. of thousands of missing %s, the first ones are named, and how many', async (_, make, type) => {
    const missing = foreign.map((layer) => ({
      ...layer,
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
    }));
    const response = await put('missing', make(missing), type);
    expect(response.status).toBe(404);
    const { errors } = (await response.json()) as { errors: { message: string; detail: unknown }[] };
    const digests = missing.map(({ digest }) => digest);
    const named = digests.slice(0, 10).join(', ');
    expect(errors[0]?.message).toBe(`the repository does not have ${named} and 19990 more: push them first`);
    expect(errors.map(({ detail }) => detail)).toEqual(digests.slice(0, 1000).map((digest) => ({ digest })));
    await expectHealthy();
  });

  it('32. a tag has at most 128 characters', async () => {
    const longest = 'x'.repeat(128);
    expect((await put(longest, image)).status).toBe(201);
    expect((await client.fetch(`/v2/${name}/manifests/${longest}`)).status).toBe(200);
    expect(await refusal(await put(`${longest}x`, image))).toBe('400 MANIFEST_INVALID');
    // For a GET it is a tag that does not exist.
    expect(await refusal(await client.fetch(`/v2/${name}/manifests/${longest}x`))).toBe(
      '404 MANIFEST_UNKNOWN',
    );
  });

  it('32. a name has at most 255 characters', async () => {
    const longest = 'x'.repeat(255);
    expect((await client.fetch(`/v2/${longest}/blobs/uploads/`, { method: 'POST' })).status).toBe(202);
    const tooLong = await client.fetch(`/v2/${longest}x/blobs/uploads/`, { method: 'POST' });
    expect(await refusal(tooLong)).toBe('400 NAME_INVALID');
    expect(await refusal(await client.fetch(`/v2/${'a/'.repeat(1000)}b/tags/list`))).toBe('400 NAME_INVALID');
  });

  it('32. a request line and headers of more than 32 KiB are a 431', async () => {
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('GET', `/v2/${'x'.repeat(33_000)}/tags/list`));
    const response = await connection.response();
    expect(await response.clone().text()).toContain('larger than the limit of 32768 bytes');
    expect(await refusal(response)).toBe('431 UNSUPPORTED');
    connection.leave();
  });

  it('32. more than 100 headers are a 431', async () => {
    const headers = Array.from({ length: 99 }, (_, n) => [`X-${n}`, 'x'] as const);
    expect((await rawRequest(berth.url, 'GET', '/v2/', headers)).status).toBe(200);
    const refused = await rawRequest(berth.url, 'GET', '/v2/', [...headers, ['X', 'one more']]);
    expect(await refusal(refused)).toBe('431 UNSUPPORTED');
    const ignoredByNode = Array.from({ length: 3_000 }, (_, n) => [`X${n}`, ''] as const);
    expect(await refusal(await rawRequest(berth.url, 'GET', '/v2/', ignoredByNode))).toBe('431 UNSUPPORTED');
  });

  it('15. the 1,024 ranges that podman requests of a 10 GB layer are not too long', async () => {
    const path = `/v2/${freshName()}/blobs/sha256:${'0'.repeat(64)}`;
    const range = `bytes=${Array(1024).fill('10000000000-10000001023').join()}`;
    expect(await refusal(await client.fetch(path, { headers: { Range: range } }))).toBe('404 BLOB_UNKNOWN');
  });

  const nested = (depth: number) => `{"schemaVersion":2,"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;

  it.each([
    ['nested as deep as its bytes allow', nested(MIB)],
    ['of nothing but [', '['.repeat(4 * MIB)],
    ['of objects in objects', '{"a":'.repeat(800_000)],
    ['of a million lists', `{"schemaVersion":2,"x":[${'[],'.repeat(MIB)}1]}`],
    ['of a million empty objects as layers', `{"schemaVersion":2,"layers":[${'{},'.repeat(MIB)}{}]}`],
    ['of one text', `"${'x'.repeat(4 * MIB - 2)}"`],
    ['with a key that is twice', '{"schemaVersion":2,"x":{"a":1,"\\u0061":1}}'],
    ['with a field twice', JSON.stringify({ schemaVersion: 2 }).replace('{', '{"schemaVersion":1,')],
  ])('19. a manifest %s is refused, and the server continues', async (_, manifest) => {
    expect(await refusal(await client.putManifest(name, 'bad', manifest))).toBe('400 MANIFEST_INVALID');
    await expectHealthy();
  });

  it('19. a manifest larger than one batch of Postgres is served unchanged', async () => {
    const manifest = JSON.stringify({ ...image, x: 'é'.repeat(1_700_000) });
    expect((await client.putManifest(name, 'large', manifest)).status).toBe(201);
    for (const reference of ['large', digestOf(manifest)]) {
      const response = await client.fetch(`/v2/${name}/manifests/${reference}`);
      expect(digestOf(Buffer.from(await response.arrayBuffer()))).toBe(digestOf(manifest));
    }
  });
});
