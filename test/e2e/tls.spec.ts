import { randomBytes } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { authorityOf, fetchTrusting, openSocket } from '../support/https-client.js';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { digestOf, RegistryClient, specErrors } from '../support/registry-client.js';
import { OwnBerth, sharedBerth } from '../support/running-berth.js';
import { eventually } from '../support/until.js';

const MIB = 1024 * 1024;

// test/long/workers.spec.ts has TLS with workers.
describe('TLS=auto', () => {
  let berth: OwnBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await OwnBerth.start({
      TLS: 'auto',
      TLS_NAMES: 'registry.example.org,192.0.2.1',
      LOG_LEVEL: 'debug',
      UPLOAD_CHECKPOINT_BYTES: String(MIB),
    });
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  it('serves an image to a client that trusts only its authority', async () => {
    expect(berth.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const manifest = await client.makeImage('tls/image', [randomBytes(100_000).toString('hex')]);
    expect((await client.putManifest('tls/image', 'v1', manifest)).status).toBe(201);
    const pulled = await (await client.fetch('/v2/tls/image/manifests/v1')).text();
    expect(pulled).toBe(JSON.stringify(manifest));
    const [layer] = manifest.layers;
    expect(digestOf(await client.blob('tls/image', layer?.digest ?? ''))).toBe(layer?.digest);
    const home = await client.fetch('/', { headers: { Accept: 'application/json' } });
    expect(await home.json()).toMatchObject({ url: `${berth.url}/v2/` });
  });

  it('offers the authority', async () => {
    const response = await client.fetch('/auth/ca.crt');
    expect(response.headers.get('content-type')).toBe('application/x-x509-ca-cert');
    const authority = await response.text();
    expect(authority).toBe(await authorityOf(berth.url));
    expect(authority).toMatch(/^-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n$/);
    expect((await client.fetch('/auth/ca.crt', { method: 'POST' })).status).toBe(405);
  });

  it.each(['localhost', 'registry.example.org'])('has a certificate for %s', async (servername) => {
    const socket = await openSocket(berth.url, { servername });
    socket.destroy();
  });

  it('is refused by a client that does not trust it', async () => {
    const url = new URL('/v2/', berth.url);
    await expect(fetchTrusting(url, {}, rootCertificates[0])).rejects.toThrow(/certificate/);
  });

  it.each([
    [
      'TLS 1.1',
      'UNSUPPORTED_PROTOCOL',
      { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    ],
    ['HTTP/2 alone', 'NO_APPLICATION_PROTOCOL', { ALPNProtocols: ['h2'] }],
    [
      'a cipher without forward secrecy',
      'NO_SHARED_CIPHER',
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
    ],
  ] as const)('refuses %s, with a line at debug', async (_, reason, options) => {
    berth.forgetLog();
    const { ALPNProtocols, ...others } = { ALPNProtocols: undefined, ...options };
    const offered = ALPNProtocols === undefined ? {} : { ALPNProtocols: [...ALPNProtocols] };
    await expect(openSocket(berth.url, { ...others, ...offered })).rejects.toThrow(/alert|ECONNRESET/);
    // By its reason: the line of an earlier test's client may come now.
    const failures = () =>
      Promise.resolve(berth.log().filter(({ errorCode }) => errorCode === `ERR_SSL_${reason}`));
    const lines = await eventually(failures, (found) => found.length > 0);
    expect(lines).toEqual([expect.objectContaining({ level: 20, msg: 'a TLS handshake failed' })]);
    // A connection that the client has reset has no address any more.
    expect(['127.0.0.1', undefined]).toContain(lines[0]?.['clientAddress']);
  });

  it.each([
    ['GET', '/v2/', ''],
    ['GET', 'http://localhost/v2/', ''],
    ['PATCH', '/v2/a/blobs/uploads/x', 'x'.repeat(MIB)],
  ])('answers plain HTTP: %s %s', async (method, path, body) => {
    const connection = await RawConnection.open(berth.url.replace('https:', 'http:'));
    const sent = connection.send(requestHead(method, path, [['Content-Length', body.length]]), body);
    const response = await connection.response();
    expect(response.headers.get('connection')).toBe('close');
    const [error] = await specErrors(response);
    expect([response.status, error?.message]).toEqual([400, 'this port needs https']);
    await sent;
    connection.leave();
  });

  it('answers what is neither TLS nor HTTP', async () => {
    const connection = await RawConnection.open(berth.url.replace('https:', 'http:'));
    await connection.send('\x00\x01\x02');
    expect(String(await connection.rest())).toMatch(/^HTTP\/1\.1 400 [^]+malformed HTTP request/);
  });

  it('takes a chunked upload after 100 Continue, and resumes it after kill -9', async () => {
    const authority = await authorityOf(berth.url);
    const bytes = randomBytes(3 * MIB);
    const location = await client.startUpload('tls/resumed');
    const connection = await RawConnection.open(berth.url);
    const headers = [
      ['Transfer-Encoding', 'chunked'],
      ['Expect', '100-continue'],
    ] as const;
    await connection.send(requestHead('PATCH', location, headers));
    expect(String(await connection.some())).toMatch(/^HTTP\/1\.1 100 Continue/);
    // All but the end: the request is running when its process is killed.
    for (let start = 0; start < bytes.length; start += 100_000)
      await connection.send(httpChunk(bytes.subarray(start, start + 100_000)));
    await durable(location, 2 * MIB);
    await berth.kill();
    await connection.rest();
    await berth.startAgain();
    client = new RegistryClient(berth.url);
    expect(await authorityOf(berth.url)).toBe(authority);
    const offset = await durable(location, 2 * MIB);
    const digest = digestOf(bytes);
    expect((await client.commit(location, digest, bytes.subarray(offset))).status).toBe(201);
    expect(digestOf(await client.blob('tls/resumed', digest))).toBe(digest);
  });

  /** Waits until that many bytes of an upload are durable, and returns how many are. */
  async function durable(location: string, bytes: number): Promise<number> {
    const id = location.slice(location.lastIndexOf('/') + 1);
    const offset = async () => {
      const sql = 'SELECT offset_bytes AS offset FROM uploads WHERE id = $1';
      const [row] = await berth.query<{ offset: string }>(sql, [id]);
      return Number(row?.offset);
    };
    return eventually(offset, (found) => found >= bytes);
  }
});

describe('without TLS', () => {
  it('there is no authority', async () => {
    const client = new RegistryClient((await sharedBerth()).url);
    const response = await client.fetch('/auth/ca.crt');
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('this registry has no certificate authority of its own');
  });
});
