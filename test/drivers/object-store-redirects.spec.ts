import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { nodeGlobal } from '../support/node-global.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { partsOf } from '../support/multipart-parts.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { describeOnSigningStorages } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const BLOB = randomBytes(300_000);
const DIGEST = digestOf(BLOB);

describeOnSigningStorages('redirects to the store', ({ driver, environment: shared }) => {
  const name = freshName();
  const path = `/v2/${name}/blobs/${DIGEST}`;
  let environment: Record<string, string>;
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    const { STORAGE_REDIRECT: _, ...unset } = shared;
    environment = unset;
    berth = await startTestBerth({ ...environment, LOG_LEVEL: 'trace' });
    client = new RegistryClient(berth.url);
    await client.pushBlob(name, BLOB);
  });
  afterAll(() => berth.dispose());

  const locationOf = async (from = client, headers: Record<string, string> = {}) => {
    const response = await from.fetch(path, { headers });
    expect(response.status).toBe(307);
    expect(response.headers.get('cache-control')).toBe('no-store');
    return new URL(String(response.headers.get('location')));
  };
  /** The secret in the environment. */
  const secretOf = () =>
    driver === 's3'
      ? String(environment['STORAGE_S3_SECRET_ACCESS_KEY'])
      : String(/AccountKey=([^;]+)/.exec(String(environment['STORAGE_AZURE_CONNECTION_STRING']))?.[1]);
  const signatureOf = ({ searchParams }: URL) =>
    String(searchParams.get(driver === 's3' ? 'X-Amz-Signature' : 'sig'));

  it('18. a GET returns a URL that works without credentials', async () => {
    const response = await fetch(await locationOf());
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('content-length')).toBe(String(BLOB.length));
    expect(digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(DIGEST);
  });

  it('18. a client that follows the redirect gets the bytes of its Range', async () => {
    const headers = { Range: 'bytes=1000-1999' };
    const response = await client.fetch(path, { headers, redirect: 'follow' });
    expect(response.redirected).toBe(true);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes 1000-1999/${BLOB.length}`);
    expect(Buffer.from(await response.arrayBuffer()).equals(BLOB.subarray(1000, 2000))).toBe(true);
  });

  it('15. Berth sends several ranges itself: stores ignore or refuse them', async () => {
    const spans = Array.from({ length: 100 }, (_, index) => [index * 2_900, index * 2_900 + 9] as const);
    const headers = { Range: `bytes=${spans.map((span) => span.join('-')).join()}` };
    const response = await client.fetch(path, { headers });
    expect(response.status).toBe(206);
    const body = Buffer.from(await response.arrayBuffer());
    expect(response.headers.get('content-length')).toBe(String(body.length));
    expect(partsOf(response.headers.get('content-type'), body)).toEqual(
      spans.map(([start, end]) => ({
        type: 'application/octet-stream',
        range: `bytes ${start}-${end}/${BLOB.length}`,
        bytes: BLOB.subarray(start, end + 1),
      })),
    );
  });

  it('18. the URL works only for this object and with its signature', async () => {
    const location = await locationOf();
    const another = new URL(location);
    another.pathname = another.pathname.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    const unsigned = new URL(location.pathname, location);
    for (const url of [another, unsigned]) {
      const { status } = await fetch(url);
      expect([403, 404]).toContain(status);
    }
    const headers = { 'x-ms-blob-type': 'BlockBlob' };
    const written = await fetch(location, { method: 'PUT', headers, body: 'something else' });
    expect(written.status).toBe(403);
  });

  it('18. requests within a minute get the same URL, with any Range', async () => {
    const { href } = await locationOf();
    // A URL signed a minute later would differ.
    const setClockBack = setClockForward(60_000);
    try {
      expect((await locationOf()).href).toBe(href);
      expect((await locationOf(client, { Range: 'bytes=5-9' })).href).toBe(href);
    } finally {
      setClockBack();
    }
  });

  it('18. Berth serves a HEAD itself', async () => {
    const response = await client.fetch(path, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe(String(BLOB.length));
    expect(response.headers.get('location')).toBeNull();
  });

  it('18. a blob that the repository does not link is not redirected', async () => {
    const response = await client.fetch(path.replace(name, freshName()));
    expect([response.status, response.headers.get('location')]).toEqual([404, null]);
  });

  it('18. neither the signature nor a credential is in the log', async () => {
    const location = await locationOf();
    const signature = signatureOf(location);
    expect(signature.length).toBeGreaterThan(20);
    expect(secretOf().length).toBeGreaterThan(5);
    // A client that confuses the hosts sends the signature to Berth.
    await client.fetch(path + location.search);
    const log = JSON.stringify(berth.log());
    expect(log).toContain(path);
    for (const secret of [signature, encodeURIComponent(signature), secretOf()]) {
      expect(log).not.toContain(secret);
    }
  });

  it('18. redirects use the public endpoint of the store', async () => {
    const known =
      driver === 's3' ? String(environment['STORAGE_S3_ENDPOINT']) : accountOf(await locationOf());
    const proxy = await FaultProxy.start(known);
    const setting = `STORAGE_${driver.toUpperCase()}_PUBLIC_ENDPOINT`;
    const elsewhere = await startTestBerth({
      ...environment,
      DATABASE_URL: berth.databaseUrl,
      [setting]: proxy.endpoint,
    });
    try {
      const from = new RegistryClient(elsewhere.url);
      await from.pushBlob(name, BLOB);
      // Requests of Berth itself use the other endpoint.
      expect(proxy.requests()).toEqual([]);
      const location = await locationOf(from);
      expect(location.host).toBe(new URL(proxy.endpoint).host);
      const response = await fetch(location);
      expect(response.status).toBe(200);
      expect(digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(DIGEST);
      expect(proxy.requests()).toHaveLength(1);
    } finally {
      await elsewhere.dispose();
      await proxy.close();
    }
  });

  it('18. STORAGE_REDIRECT=false streams', async () => {
    const streaming = await startTestBerth({ ...shared, DATABASE_URL: berth.databaseUrl });
    try {
      const from = new RegistryClient(streaming.url);
      await from.pushBlob(name, BLOB);
      expect((await from.blob(name, DIGEST)).equals(BLOB)).toBe(true);
    } finally {
      await streaming.dispose();
    }
  });
});

/** The beginning of a URL of Azurite's, which has the account in its path. */
function accountOf({ origin, pathname }: URL): string {
  return `${origin}/${pathname.split('/')[1]}`;
}

/** Moves `Date` alone, not timers. Returns what ends it. */
function setClockForward(ms: number): () => void {
  const { Date: Now } = nodeGlobal;
  const now = () => Now.now() + ms;
  nodeGlobal.Date = new Proxy(Now, {
    construct: (target, given, self) =>
      Reflect.construct(target, given.length === 0 ? [now()] : given, self) as Date,
    get: (target, name, self): unknown => (name === 'now' ? now : Reflect.get(target, name, self)),
  });
  return () => void (nodeGlobal.Date = Now);
}
