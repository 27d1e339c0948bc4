import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CRC32C } from '@google-cloud/storage';
import type { GcsObjectStore } from '../../../src/storage/drivers/gcs/gcs-object.store.js';
import { bodyOf } from '../../contract/object-store.harness.js';
import { crc32c } from './crc32c.js';
import { GcsHarness } from './gcs-harness.js';
import { partsOf } from './multipart-related.js';
import { selected } from './partial-response.js';

let harness: GcsHarness;
let store: GcsObjectStore;

beforeEach(async () => {
  harness = await GcsHarness.start();
  store = harness.store();
  await store.put('object', bodyOf(Buffer.from('content')), {});
});

afterEach(async () => {
  jest.restoreAllMocks();
  await harness.dispose();
});

describe('signed URLs', () => {
  async function signed(): Promise<URL> {
    const url = await store.signedUrl?.('object', 60);
    if (!url) throw new Error('no URL');
    return url;
  }

  it('serve the object with the content type of the URL', async () => {
    const response = await fetch(await signed());
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(await response.text()).toBe('content');
  });

  it.each([
    ['of another object', (url: URL) => void (url.pathname += 's')],
    ['that last longer', (url: URL) => url.searchParams.set('X-Goog-Expires', '61')],
    ['of another day', (url: URL) => url.searchParams.set('X-Goog-Date', '20200101T000000Z')],
    ['of another account', (url: URL) => url.searchParams.set('X-Goog-Credential', 'other@account/x')],
    ['with another type', (url: URL) => url.searchParams.set('response-content-type', 'text/html')],
    ['with more in them', (url: URL) => url.searchParams.set('generation', '1')],
    ['with another signature', (url: URL) => url.searchParams.set('X-Goog-Signature', '00')],
    ['with none', (url: URL) => url.searchParams.delete('X-Goog-Signature')],
  ])('are refused if they are %s', async (_, change) => {
    const url = await signed();
    change(url);
    const response = await fetch(url);
    expect(response.status).toBe(403);
    await response.body?.cancel();
  });

  it('are refused when they have expired', async () => {
    const url = await signed();
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now + 62_000);
    const response = await fetch(url);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('expired');
  });
});

describe('the JSON API', () => {
  it('requires a token', async () => {
    const response = await fetch(`${harness.server.url}/storage/v1/b/${harness.bucket}/o/object`);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 401, errors: [{ reason: 'required' }] } });
  });

  it('refuses bytes of another MD5', async () => {
    const { md5 } = bodyOf(Buffer.from('other'));
    const withoutRetries = harness.store({}, { attempts: 1 });
    await expect(withoutRetries.put('new', { bytes: Buffer.from('content'), md5 }, {})).rejects.toMatchObject(
      {
        cause: {
          status: 400,
          message: expect.stringContaining("doesn't match calculated MD5 hash") as unknown,
        },
      },
    );
  });

  it('refuses 33 sources, and zero', () => {
    const bucket = harness.server.createBucket('other');
    bucket.insert('x', Buffer.from('x'), {}, undefined);
    const sources = Array.from({ length: 33 }, () => ({ name: 'x' }));
    expect(() => bucket.compose('y', sources, {}, undefined)).toThrow('exceeds the maximum (32)');
    expect(() => bucket.compose('y', [], {}, undefined)).toThrow('at least one');
    expect(bucket.compose('y', sources.slice(1), {}, 0n).sizeBytes).toBe(32);
    expect(() => bucket.compose('y', sources.slice(1), {}, 0n)).toThrow('pre-conditions');
  });

  it('gives every object a different generation', () => {
    const bucket = harness.server.createBucket('other');
    const generations = Array.from(
      { length: 100 },
      () => bucket.insert('x', Buffer.of(), {}, undefined).generation,
    );
    expect(new Set(generations).size).toBe(100);
  });
});

describe('the helpers', () => {
  it('combine CRC32C of chunks correctly', () => {
    const chunks = [0, 1, 5, 1000, 65537, 0, 3].map((size) => randomBytes(size));
    const whole = new CRC32C();
    whole.update(Buffer.concat(chunks));
    expect(crc32c(chunks)).toBe(whole.toString());
    expect(crc32c([Buffer.from('123456789')])).toBe(Buffer.from('e3069283', 'hex').toString('base64'));
  });

  it('parse a multipart body with any bytes', () => {
    const bytes = Buffer.concat([
      Buffer.from('\r\n--b\r--bb\r\n\r\n'),
      randomBytes(1000),
      Buffer.from('\r\n'),
    ]);
    const body = Buffer.concat([
      Buffer.from(
        '--bound\r\nContent-Type: application/json\r\n\r\n{}\r\n--bound\r\ncontent-type: a/b\r\n\r\n',
      ),
      bytes,
      Buffer.from('\r\n--bound--'),
    ]);
    const parts = partsOf('multipart/related; boundary="bound"', body);
    expect(parts.map(({ contentType }) => contentType)).toEqual(['application/json', 'a/b']);
    expect(parts[1]?.bytes.equals(bytes)).toBe(true);
    expect(createHash('md5').update(bytes).digest('base64')).toBe(bodyOf(bytes).md5);
    expect(() => partsOf('multipart/related; boundary=bound', body.subarray(0, -2))).toThrow(
      'multipart body',
    );
  });

  it('select the requested fields', () => {
    const page = { kind: 'k', items: [{ name: 'a', size: '1', etag: 'e' }], nextPageToken: 't' };
    expect(selected(page, 'items(name,size),nextPageToken')).toEqual({
      items: [{ name: 'a', size: '1' }],
      nextPageToken: 't',
    });
  });
});
