import 'reflect-metadata';
import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { S3Client } from '@aws-sdk/client-s3';
import { S3Settings } from '../../../config/s3.settings.js';
import { idOfObject, parsePieceName } from '../../object-store/names.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { S3ObjectStore } from './s3-object.store.js';

interface ReceivedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * What radosgw can't be expected to do, or to tell: a server that writes down what it hears, and says what it
 * is told to.
 */
describe('S3ObjectStore', () => {
  const CREATED = '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>';
  const COMPLETED = '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>';
  const body = { bytes: Buffer.from('hello'), md5: createHash('md5').update('hello').digest('base64') };
  let received: ReceivedRequest[];
  let respond: (request: ReceivedRequest, response: ServerResponse) => void;
  let server: Server;
  let endpoint: string;
  let opened: S3ObjectStore[];

  beforeEach(async () => {
    received = [];
    opened = [];
    respond = ({ method, url }, response) => {
      response.setHeader('etag', '"tag"');
      if (method === 'POST') response.end(url.searchParams.has('uploads') ? CREATED : COMPLETED);
      else response.end();
    };
    server = createServer((request, response) => {
      void buffer(request).then((bytes) => {
        const { method = '', url = '', headers } = request;
        const entry = { method, url: new URL(url, 'http://s3'), headers, body: bytes.toString() };
        received.push(entry);
        respond(entry, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  afterEach(async () => {
    for (const store of opened) store.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function open(changes: Partial<S3Settings> = {}): S3ObjectStore {
    const settings = Object.assign(new S3Settings(), {
      storageS3Bucket: 'blobs',
      storageS3Endpoint: endpoint,
      storageS3AccessKeyId: 'key',
      storageS3SecretAccessKey: 'secret',
      ...changes,
    });
    const store = new S3ObjectStore(settings, { attempts: 1 });
    opened.push(store);
    return store;
  }

  it('sends encryption and storage class of the settings with each object', async () => {
    const store = open({
      storageS3ServerSideEncryption: 'aws:kms',
      storageS3SseKmsKeyId: 'arn:aws:kms:key',
      storageS3StorageClass: 'INTELLIGENT_TIERING',
    });
    await store.put('a', body, {});
    const multipart = await store.beginMultipart('b', {});
    const part = await store.putPart(multipart, 1, body, {});
    await store.completeMultipart(multipart, [part], {});
    const expected = {
      'content-type': 'application/octet-stream',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'arn:aws:kms:key',
      'x-amz-storage-class': 'INTELLIGENT_TIERING',
    };
    expect(received.map(({ method }) => method)).toEqual(['PUT', 'POST', 'PUT', 'POST']);
    expect(received[0]?.headers).toMatchObject(expected);
    expect(received[1]?.headers).toMatchObject(expected);
    // S3 refuses them with a part.
    expect(received[2]?.headers).not.toHaveProperty('x-amz-storage-class');
    expect(received[2]?.headers).not.toHaveProperty('x-amz-server-side-encryption');
    expect(received[2]?.headers['content-md5']).toBe(body.md5);
    expect(received[3]?.body).toContain('<PartNumber>1</PartNumber>');
    expect(received[3]?.body).toMatch(/(&quot;|")tag(&quot;|")/);
  });

  it('sends no encryption or storage class without a setting', async () => {
    await open().put('a', body, {});
    for (const name of Object.keys(received[0]?.headers ?? {})) {
      expect(name).not.toMatch(/^x-amz-(server-side|storage-class)/);
    }
  });

  it('sends only an MD5 with an object or a part, because not every store knows others', async () => {
    const store = open();
    await store.put('a', body, {});
    await store.putPart({ name: 'b', id: 'u1' }, 1, body, {});
    expect(received.map(({ headers }) => headers['content-md5'])).toEqual([body.md5, body.md5]);
    const names = received.flatMap(({ headers }) => Object.keys(headers));
    expect(names.filter((name) => /checksum|trailer|expect/.test(name))).toEqual([]);
  });

  it('ends a list within a page when its caller aborts', async () => {
    const entries = ['a', 'b'].map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
    respond = (_, response) => response.end(`<ListBucketResult>${entries}</ListBucketResult>`);
    const reason = new Error('the client left');
    const caller = new AbortController();
    const names: string[] = [];
    const listing = async (): Promise<void> => {
      for await (const { name } of open().list('', { signal: caller.signal })) {
        names.push(name);
        caller.abort(reason);
      }
    };
    await expect(listing()).rejects.toBe(reason);
    expect(names).toEqual(['a']);
  });

  it('puts the bucket in the path if an endpoint is set, and the prefix before the name', async () => {
    await open({ storageS3Prefix: 'some/where/' }).put('a~b', body, {});
    expect(received[0]?.url.pathname).toBe('/blobs/some/where/a~b');
    expect(received[0]?.headers.host).toBe(new URL(endpoint).host);
  });

  it.each<[string, Partial<S3Settings>, string]>([
    ['AWS', { storageS3Endpoint: undefined }, 'https://blobs.s3.eu-central-1.amazonaws.com/a'],
    [
      'AWS by path',
      { storageS3Endpoint: undefined, storageS3ForcePathStyle: true },
      'https://s3.eu-central-1.amazonaws.com/blobs/a',
    ],
    ['a store', { storageS3Endpoint: 'https://s3.example:9000' }, 'https://s3.example:9000/blobs/a'],
    [
      'a store by host',
      { storageS3Endpoint: 'https://s3.example:9000', storageS3ForcePathStyle: false },
      'https://blobs.s3.example:9000/a',
    ],
    [
      'a store that clients see under another name',
      { storageS3Endpoint: 'http://minio:9000', storageS3PublicEndpoint: 'https://s3.example' },
      'https://s3.example/blobs/a',
    ],
    [
      'a store by host that clients see under another name',
      {
        storageS3Endpoint: 'http://minio:9000',
        storageS3PublicEndpoint: 'https://s3.example',
        storageS3ForcePathStyle: false,
      },
      'https://blobs.s3.example/a',
    ],
  ])('signs URLs of %s', async (_, changes, expected) => {
    const url = await open({ storageS3Region: 'eu-central-1', ...changes }).signedUrl('a', 300);
    expect(url.origin + url.pathname).toBe(expected);
    expect(url.searchParams.get('response-content-type')).toBe('application/octet-stream');
    expect(url.searchParams.get('X-Amz-Expires')).toBe('300');
    expect(url.searchParams.get('X-Amz-Credential')).toContain('/eu-central-1/s3/');
    expect(url.href).not.toContain('secret');
  });

  it('signs URLs by the clock of the store, when it is known', async () => {
    respond = (_, response) => {
      response.setHeader('date', new Date(Date.now() + 3_600_000).toUTCString());
      response.setHeader('content-length', 5);
      response.end();
    };
    const store = open();
    await store.head('a', {});
    const signed = (await store.signedUrl('a', 300)).searchParams.get('X-Amz-Date') ?? '';
    const time = Date.parse(signed.replace(/(....)(..)(..T..)(..)(..Z)/, '$1-$2-$3:$4:$5'));
    expect(Math.abs(time - Date.now() - 3_600_000)).toBeLessThan(60_000);
  });

  it('sends the MD5 of a DeleteObjects, for stores without CRC32', async () => {
    respond = (_, response) => response.end('<DeleteResult/>');
    await open().delete(['a', 'b'], {});
    const { headers, body: sent } = received[0] as ReceivedRequest;
    expect(headers['content-md5']).toBe(createHash('md5').update(sent).digest('base64'));
    expect(Object.keys(headers).filter((name) => name.includes('checksum'))).toEqual([]);
    expect(received).toHaveLength(1);
  });

  it('names each object that the store refuses to delete, and deletes throttled ones again', async () => {
    const refusal = (key: string, code: string) =>
      `<Error><Key>some/${key}</Key><Code>${code}</Code><Message>no</Message></Error>`;
    const errors = [refusal('b', 'AccessDenied'), refusal('c', 'SlowDown'), refusal('d', 'NoSuchKey')];
    respond = ({ method }, response) =>
      response.end(method === 'POST' ? `<DeleteResult>${errors.join('')}</DeleteResult>` : undefined);
    const store = open({ storageS3Prefix: 'some/' });
    const refused = await store.deleteMany(['a', 'b', 'c', 'd'], {});
    expect([...refused]).toEqual([['b', expect.any(StorageError)]]);
    expect(refused.get('b')?.message).toMatch(/access to the bucket .* is denied/);
    expect(received.map(({ method }) => method)).toEqual(['POST', 'DELETE']);
    expect(received[1]?.url.pathname).toContain('/some/c');
  });

  it('deletes a thousand objects per request', async () => {
    respond = (_, response) => response.end('<DeleteResult/>');
    await open().delete(
      Array.from({ length: 2001 }, (_, index) => `x${index}`),
      {},
    );
    expect(received.map(({ method }) => method)).toEqual(['POST', 'POST', 'DELETE']);
    expect(received[0]?.body.match(/<Key>/g)).toHaveLength(1000);
  });

  it.each<[string, Record<string, string | number>]>([
    ['the whole object', { 'content-length': 10 }],
    ['another span', { 'content-range': 'bytes 0-2/10', 'content-length': 3 }],
    ['less than it says', { 'content-range': 'bytes 2-4/10', 'content-length': 2 }],
  ])('refuses the bytes of a store that responses a span with %s', async (_, headers) => {
    respond = (__, response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      response.end('x'.repeat(Number(headers['content-length'])));
    };
    await expect(open().get('a', { start: 2, end: 4 }, {})).rejects.toThrow(/other bytes than 2 to 4/);
  });

  it('rejects when the store does not say where the next page is', async () => {
    const responses = [
      '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>',
      '<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>',
    ];
    respond = ({ url }, response) => response.end(responses[url.searchParams.has('uploads') ? 1 : 0]);
    const [store, all] = [
      open(),
      async (list: AsyncIterable<unknown>) => {
        for await (const _ of list);
      },
    ];
    await expect(all(store.list('', {}))).rejects.toBeInstanceOf(StorageError);
    await expect(all(store.listMultiparts('', {}))).rejects.toBeInstanceOf(StorageError);
    expect(received).toHaveLength(2);
  });

  it('lists no multiparts if the store can’t', async () => {
    respond = (_, response) => {
      response.writeHead(501);
      response.end('<Error><Code>NotImplemented</Code></Error>');
    };
    for await (const _ of open().listMultiparts('', {})) throw new Error('there is one');
    expect(received).toHaveLength(1);
  });

  it('distinguishes a denied HEAD from a missing object', async () => {
    const statuses = [404, 200, 403];
    respond = (_, response) => {
      response.writeHead(statuses.shift() ?? 500);
      response.end(statuses.length === 1 ? '<ListBucketResult/>' : '');
    };
    const store = open();
    expect(await store.head('a', {})).toBeUndefined();
    await expect(store.head('a', {})).rejects.toThrow(/access to the bucket blobs is denied/);
  });

  it('distinguishes a missing bucket from a missing object', async () => {
    respond = ({ method }, response) => {
      response.writeHead(404);
      response.end(method === 'HEAD' ? '' : '<Error><Code>NoSuchBucket</Code></Error>');
    };
    await expect(open().head('a', {})).rejects.toThrow(/there is no bucket blobs/);
  });

  /** A store whose objects all have this size. */
  function respondToAll(bytes: number): void {
    respond = ({ method, url }, response) => {
      response.setHeader('etag', '"tag"');
      const text = url.searchParams.has('uploads') ? CREATED : COMPLETED;
      response.setHeader('content-length', method === 'HEAD' ? bytes : Buffer.byteLength(text));
      if (method === 'HEAD') response.end();
      else response.end(text);
    };
  }

  it('refuses at the start a store that puts omitted parts into an object', async () => {
    const store = open();
    respondToAll(3);
    await expect(store.prepare()).rejects.toThrow('puts omitted parts into an object');
    expect(store.leavesPartsOut).toBe(false);
    expect(received.at(-1)).toMatchObject({ method: 'DELETE' });
  });

  it('finds at the start that the store leaves omitted parts out', async () => {
    const store = open();
    expect(store.leavesPartsOut).toBe(false);
    respondToAll(1);
    await store.prepare();
    expect(store.leavesPartsOut).toBe(true);
    const completion = received.find(
      ({ url }) => url.searchParams.get('uploadId') === 'u1' && !url.searchParams.has('partNumber'),
    );
    expect(completion?.body.match(/<PartNumber>/g)).toHaveLength(1);
    // The probe deletes everything that it wrote.
    const deletions = received.filter(({ method }) => method === 'DELETE');
    expect(deletions.map(({ url }) => url.searchParams.has('uploadId'))).toEqual([false, false, true]);
    const lengths = received
      .filter(({ url }) => url.searchParams.has('partNumber'))
      .map(({ body: { length } }) => length);
    expect(lengths).toEqual([2, 1]);
  });

  it('probes under names that the reaper finds after a crash', async () => {
    respondToAll(1);
    await open({ storageS3Prefix: 'some/' }).prepare();
    const written = received.filter(
      ({ method, url }) => method === 'PUT' || url.searchParams.has('uploadId'),
    );
    const names = [...new Set(written.map(({ url }) => url.pathname.slice('/blobs/some/'.length)))];
    const id = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(names).toHaveLength(2);
    expect(parsePieceName(names[0] ?? '')?.id).toMatch(id);
    expect(idOfObject(names[1] ?? '')).toMatch(id);
    const lists = received
      .filter(({ method }) => method === 'GET')
      .map(({ url }) => url.searchParams.get('prefix'));
    expect(lists).toEqual(['some/uploads/', 'some/blobs/']);
  });

  it.each<[string, (request: ReceivedRequest) => boolean]>([
    ['list objects', ({ method, url }) => method === 'GET' && url.searchParams.has('list-type')],
    ['write', ({ method, url }) => method === 'PUT' && url.search === '?x-id=PutObject'],
    ['look', ({ method }) => method === 'HEAD'],
    ['delete', ({ method, url }) => method === 'DELETE' && !url.searchParams.has('uploadId')],
    ['list multiparts', ({ method, url }) => method === 'GET' && url.searchParams.has('uploads')],
    ['abort a multipart', ({ method, url }) => method === 'DELETE' && url.searchParams.has('uploadId')],
  ])('says at the start that it may not %s', async (_, isDenied) => {
    respondToAll(1);
    const respondDefault = respond;
    let denials = 0;
    respond = (request, response) => {
      if (!isDenied(request)) return respondDefault(request, response);
      denials += 1;
      response
        .writeHead(403)
        .end(request.method === 'HEAD' ? '' : '<Error><Code>AccessDenied</Code></Error>');
    };
    await expect(open().prepare()).rejects.toThrow(/access to the bucket blobs is denied/);
    expect(denials).toBe(1);
  });

  it('says that there are no credentials', async () => {
    const before = { ...process.env };
    for (const name of Object.keys(process.env))
      if (name.startsWith('AWS_')) Reflect.deleteProperty(process.env, name);
    Object.assign(process.env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    });
    try {
      const store = open({ storageS3AccessKeyId: undefined, storageS3SecretAccessKey: undefined });
      await expect(store.prepare()).rejects.toThrow(/no credentials: set STORAGE_S3_ACCESS_KEY_ID/);
      expect(received).toEqual([]);
    } finally {
      for (const name of Object.keys(process.env))
        if (!(name in before)) Reflect.deleteProperty(process.env, name);
      Object.assign(process.env, before);
    }
  });

  it('retries when the source of credentials fails after the start', async () => {
    const store = open();
    await store.check({});
    const client = Reflect.get(store, 'client') as S3Client;
    client.config.credentials = () =>
      Promise.reject(Object.assign(new Error('none'), { name: 'CredentialsProviderError' }));
    await expect(store.check({})).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(received).toHaveLength(1);
  });

  it('has a location without credentials', () => {
    const { location } = open({ storageS3Prefix: 'some/where/' });
    expect(location).toBe(`s3://blobs/some/where/ at ${endpoint}`);
    expect(open({ storageS3Endpoint: undefined }).location).toBe('s3://blobs/ at AWS (us-east-1)');
  });
});
