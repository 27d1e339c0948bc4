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

interface Heard {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * What radosgw can't be asked to do, or to tell: a server that writes down what it hears, and says what it is
 * told to.
 */
describe('S3ObjectStore', () => {
  const CREATED = '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>';
  const COMPLETED = '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>';
  const body = { bytes: Buffer.from('hello'), md5: createHash('md5').update('hello').digest('base64') };
  let heard: Heard[];
  let answer: (request: Heard, response: ServerResponse) => void;
  let server: Server;
  let endpoint: string;
  let opened: S3ObjectStore[];

  beforeEach(async () => {
    heard = [];
    opened = [];
    answer = ({ method, url }, response) => {
      response.setHeader('etag', '"tag"');
      if (method === 'POST') response.end(url.searchParams.has('uploads') ? CREATED : COMPLETED);
      else response.end();
    };
    server = createServer((request, response) => {
      void buffer(request).then((bytes) => {
        const { method = '', url = '', headers } = request;
        const entry = { method, url: new URL(url, 'http://s3'), headers, body: bytes.toString() };
        heard.push(entry);
        answer(entry, response);
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

  it('makes each object with the encryption and the storage class of the settings', async () => {
    const store = open({
      storageS3ServerSideEncryption: 'aws:kms',
      storageS3SseKmsKeyId: 'arn:aws:kms:key',
      storageS3StorageClass: 'INTELLIGENT_TIERING',
    });
    await store.put('a', body, {});
    const multipart = await store.beginMultipart('b', {});
    const part = await store.putPart(multipart, 1, body, {});
    await store.completeMultipart(multipart, [part], {});
    const asked = {
      'content-type': 'application/octet-stream',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'arn:aws:kms:key',
      'x-amz-storage-class': 'INTELLIGENT_TIERING',
    };
    expect(heard.map(({ method }) => method)).toEqual(['PUT', 'POST', 'PUT', 'POST']);
    expect(heard[0]?.headers).toMatchObject(asked);
    expect(heard[1]?.headers).toMatchObject(asked);
    // Of a part S3 refuses them.
    expect(heard[2]?.headers).not.toHaveProperty('x-amz-storage-class');
    expect(heard[2]?.headers).not.toHaveProperty('x-amz-server-side-encryption');
    expect(heard[2]?.headers['content-md5']).toBe(body.md5);
    expect(heard[3]?.body).toContain('<PartNumber>1</PartNumber>');
    expect(heard[3]?.body).toMatch(/(&quot;|")tag(&quot;|")/);
  });

  it('says nothing of encryption and storage class where the settings do not', async () => {
    await open().put('a', body, {});
    for (const name of Object.keys(heard[0]?.headers ?? {})) {
      expect(name).not.toMatch(/^x-amz-(server-side|storage-class)/);
    }
  });

  it('sends no checksum of the SDK’s with an object or a part: they have their MD5, and not every store knows others', async () => {
    const store = open();
    await store.put('a', body, {});
    await store.putPart({ name: 'b', id: 'u1' }, 1, body, {});
    expect(heard.map(({ headers }) => headers['content-md5'])).toEqual([body.md5, body.md5]);
    const names = heard.flatMap(({ headers }) => Object.keys(headers));
    expect(names.filter((name) => /checksum|trailer|expect/.test(name))).toEqual([]);
  });

  it('ends a list within a page when its caller leaves', async () => {
    const entries = ['a', 'b'].map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
    answer = (_, response) => response.end(`<ListBucketResult>${entries}</ListBucketResult>`);
    const reason = new Error('the client left');
    const giveUp = new AbortController();
    const names: string[] = [];
    const listing = async (): Promise<void> => {
      for await (const { name } of open().list('', { signal: giveUp.signal })) {
        names.push(name);
        giveUp.abort(reason);
      }
    };
    await expect(listing()).rejects.toBe(reason);
    expect(names).toEqual(['a']);
  });

  it('puts the bucket in the path where there is an endpoint, and the prefix before the name', async () => {
    await open({ storageS3Prefix: 'some/where/' }).put('a~b', body, {});
    expect(heard[0]?.url.pathname).toBe('/blobs/some/where/a~b');
    expect(heard[0]?.headers.host).toBe(new URL(endpoint).host);
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

  it('signs URLs by the clock of the store, once it knows it', async () => {
    answer = (_, response) => {
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

  it('sends the MD5 of a deletion of several, which stores want that do not know the SDK’s CRC32', async () => {
    answer = (_, response) => response.end('<DeleteResult/>');
    await open().delete(['a', 'b'], {});
    const { headers, body: sent } = heard[0] as Heard;
    expect(headers['content-md5']).toBe(createHash('md5').update(sent).digest('base64'));
    expect(Object.keys(headers).filter((name) => name.includes('checksum'))).toEqual([]);
    expect(heard).toHaveLength(1);
  });

  it('deletes a thousand at once', async () => {
    answer = (_, response) => response.end('<DeleteResult/>');
    await open().delete(
      Array.from({ length: 2001 }, (_, index) => `x${index}`),
      {},
    );
    expect(heard.map(({ method }) => method)).toEqual(['POST', 'POST', 'DELETE']);
    expect(heard[0]?.body.match(/<Key>/g)).toHaveLength(1000);
  });

  it.each<[string, Record<string, string | number>]>([
    ['the whole object', { 'content-length': 10 }],
    ['another span', { 'content-range': 'bytes 0-2/10', 'content-length': 3 }],
    ['less than it says', { 'content-range': 'bytes 2-4/10', 'content-length': 2 }],
  ])('refuses the bytes of a store that answers a span with %s', async (_, headers) => {
    answer = (__, response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      response.end('x'.repeat(Number(headers['content-length'])));
    };
    await expect(open().get('a', { start: 2, end: 4 }, {})).rejects.toThrow(/other bytes than 2 to 4/);
  });

  it('does not list for ever when the store does not say where the next page is', async () => {
    const answers = [
      '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>',
      '<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>',
    ];
    answer = ({ url }, response) => response.end(answers[url.searchParams.has('uploads') ? 1 : 0]);
    const [store, all] = [
      open(),
      async (list: AsyncIterable<unknown>) => {
        for await (const _ of list);
      },
    ];
    await expect(all(store.list('', {}))).rejects.toBeInstanceOf(StorageError);
    await expect(all(store.listMultiparts('', {}))).rejects.toBeInstanceOf(StorageError);
    expect(heard).toHaveLength(2);
  });

  it('lists no multiparts where the store can’t', async () => {
    answer = (_, response) => {
      response.writeHead(501);
      response.end('<Error><Code>NotImplemented</Code></Error>');
    };
    for await (const _ of open().listMultiparts('', {})) throw new Error('there is one');
    expect(heard).toHaveLength(1);
  });

  it('tells a denied look from a missing object', async () => {
    const statuses = [404, 200, 403];
    answer = (_, response) => {
      response.writeHead(statuses.shift() ?? 500);
      response.end(statuses.length === 1 ? '<ListBucketResult/>' : '');
    };
    const store = open();
    expect(await store.head('a', {})).toBeUndefined();
    await expect(store.head('a', {})).rejects.toThrow(/access to the bucket blobs is denied/);
  });

  it('tells a missing bucket from a missing object, which HEAD doesn’t', async () => {
    answer = ({ method }, response) => {
      response.writeHead(404);
      response.end(method === 'HEAD' ? '' : '<Error><Code>NoSuchBucket</Code></Error>');
    };
    await expect(open().head('a', {})).rejects.toThrow(/there is no bucket blobs/);
  });

  /** A store in which each object has so many bytes. */
  function answerAll(bytes: number): void {
    answer = ({ method, url }, response) => {
      response.setHeader('etag', '"tag"');
      const text = url.searchParams.has('uploads') ? CREATED : COMPLETED;
      response.setHeader('content-length', method === 'HEAD' ? bytes : Buffer.byteLength(text));
      if (method === 'HEAD') response.end();
      else response.end(text);
    };
  }

  it('refuses at the start a store that makes an object of parts that it was not told of', async () => {
    const store = open();
    answerAll(3);
    await expect(store.prepare()).rejects.toThrow('puts omitted parts into an object');
    expect(store.leavesPartsOut).toBe(false);
    expect(heard.at(-1)).toMatchObject({ method: 'DELETE' });
  });

  it('finds out at the start that the store makes an object of some of the parts', async () => {
    const store = open();
    expect(store.leavesPartsOut).toBe(false);
    answerAll(1);
    await store.prepare();
    expect(store.leavesPartsOut).toBe(true);
    const completion = heard.find(
      ({ url }) => url.searchParams.get('uploadId') === 'u1' && !url.searchParams.has('partNumber'),
    );
    expect(completion?.body.match(/<PartNumber>/g)).toHaveLength(1);
    // Nothing of the trial is left: what was written is deleted.
    const deletions = heard.filter(({ method }) => method === 'DELETE');
    expect(deletions.map(({ url }) => url.searchParams.has('uploadId'))).toEqual([false, false, true]);
    const lengths = heard
      .filter(({ url }) => url.searchParams.has('partNumber'))
      .map(({ body: { length } }) => length);
    expect(lengths).toEqual([2, 1]);
  });

  it('uses names at the start that the reaper finds where a crash leaves them', async () => {
    answerAll(1);
    await open({ storageS3Prefix: 'some/' }).prepare();
    const written = heard.filter(({ method, url }) => method === 'PUT' || url.searchParams.has('uploadId'));
    const names = [...new Set(written.map(({ url }) => url.pathname.slice('/blobs/some/'.length)))];
    const id = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(names).toHaveLength(2);
    expect(parsePieceName(names[0] ?? '')?.id).toMatch(id);
    expect(idOfObject(names[1] ?? '')).toMatch(id);
    const lists = heard
      .filter(({ method }) => method === 'GET')
      .map(({ url }) => url.searchParams.get('prefix'));
    expect(lists).toEqual(['some/uploads/', 'some/blobs/']);
  });

  it.each<[string, (request: Heard) => boolean]>([
    ['list objects', ({ method, url }) => method === 'GET' && url.searchParams.has('list-type')],
    ['write', ({ method, url }) => method === 'PUT' && url.search === '?x-id=PutObject'],
    ['look', ({ method }) => method === 'HEAD'],
    ['delete', ({ method, url }) => method === 'DELETE' && !url.searchParams.has('uploadId')],
    ['list multiparts', ({ method, url }) => method === 'GET' && url.searchParams.has('uploads')],
    ['abort a multipart', ({ method, url }) => method === 'DELETE' && url.searchParams.has('uploadId')],
  ])('says at the start that it may not %s', async (_, isDenied) => {
    answerAll(1);
    const answerWell = answer;
    let denials = 0;
    answer = (request, response) => {
      if (!isDenied(request)) return answerWell(request, response);
      denials += 1;
      response
        .writeHead(403)
        .end(request.method === 'HEAD' ? '' : '<Error><Code>AccessDenied</Code></Error>');
    };
    await expect(open().prepare()).rejects.toThrow(/access to the bucket blobs is denied/);
    expect(denials).toBe(1);
  });

  it('says that nobody gave it credentials', async () => {
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
      expect(heard).toEqual([]);
    } finally {
      for (const name of Object.keys(process.env))
        if (!(name in before)) Reflect.deleteProperty(process.env, name);
      Object.assign(process.env, before);
    }
  });

  it('waits for credentials whose source fails after the start', async () => {
    const store = open();
    await store.check({});
    const client = Reflect.get(store, 'client') as S3Client;
    client.config.credentials = () =>
      Promise.reject(Object.assign(new Error('none'), { name: 'CredentialsProviderError' }));
    await expect(store.check({})).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(heard).toHaveLength(1);
  });

  it('says where it is, without credentials', () => {
    const { location } = open({ storageS3Prefix: 'some/where/' });
    expect(location).toBe(`s3://blobs/some/where/ at ${endpoint}`);
    expect(open({ storageS3Endpoint: undefined }).location).toBe('s3://blobs/ at AWS (us-east-1)');
  });
});
