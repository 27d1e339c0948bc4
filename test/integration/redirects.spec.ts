import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ObjectKey } from '../../src/storage/object-key.js';
import { partsOf } from '../support/multipart-parts.js';
import { RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('a driver that redirects clients', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  const name = freshName();
  let path: string;

  beforeAll(async () => {
    berth = await startTestBerth({ STORAGE_DRIVER: 'memory' });
    client = new RegistryClient(berth.url);
    path = `/v2/${name}/blobs/${await client.pushBlob(name, 'elsewhere')}`;
    const redirectUrl = (key: ObjectKey) =>
      Promise.resolve(new URL(`https://store.example/${key}?signature=secret`));
    Object.assign(berth.driver, { redirectUrl, abilities: { ...berth.driver.abilities, redirects: true } });
  });
  afterAll(() => berth.dispose());

  it('18. a GET gets a 307 that is not cacheable', async () => {
    for (const headers of [{}, { Range: 'bytes=1-2' }]) {
      const response = await client.fetch(path, { headers });
      expect(response.status).toBe(307);
      expect(response.headers.get('location')).toMatch(
        /^https:\/\/store\.example\/blobs\/.+\?signature=secret$/,
      );
      expect(response.headers.get('cache-control')).toBe('no-store');
    }
  });

  it('15. several ranges are not redirected: S3 would ignore them', async () => {
    const bytes = randomBytes(100_000);
    const large = `/v2/${name}/blobs/${await client.pushBlob(name, bytes)}`;
    const response = await client.fetch(large, { headers: { Range: 'bytes=70000-79999,0-9' } });
    expect(response.status).toBe(206);
    const body = Buffer.from(await response.arrayBuffer());
    expect(response.headers.get('content-length')).toBe(String(body.length));
    expect(partsOf(response.headers.get('content-type'), body)).toMatchObject([
      { range: 'bytes 70000-79999/100000', bytes: bytes.subarray(70_000, 80_000) },
      { range: 'bytes 0-9/100000', bytes: bytes.subarray(0, 10) },
    ]);
    for (const [range, status] of [
      ['bytes=0-9,5-19', 206],
      ['bytes=0-9,200000-', 206],
      ['bytes=0-50000,50010-', 200],
      ['bytes=200000-,-0', 416],
    ] as const) {
      expect((await client.fetch(large, { headers: { Range: range } })).status).toBe(status);
    }
  });

  it('18. Berth serves a HEAD itself', async () => {
    const response = await client.fetch(path, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe('9');
    expect(response.headers.get('location')).toBeNull();
  });

  it('18. a blob that the repository does not link is no redirect', async () => {
    const response = await client.fetch(path.replace(name, freshName()));
    expect(response.status).toBe(404);
    expect(response.headers.get('location')).toBeNull();
  });
});
