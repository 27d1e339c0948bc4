import 'reflect-metadata';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AzureSettings } from '../../../config/azure.settings.js';
import { StorageError, StorageUnavailableError, UploadStateError } from '../../storage.errors.js';
import { until } from '../../../../test/support/until.js';
import { parsePieceName } from '../../object-store/names.js';
import { type AzureOptions, type AzureObjectStore, openAzureObjectStore } from './azure-object.store.js';

const KEY = Buffer.from('sesame').toString('base64');
const LIMITS = { attempts: 3, deadlineMs: 3000, firstPauseMs: 1 };
const XML = { 'content-type': 'application/xml' };

type Respond = (request: IncomingMessage, response: ServerResponse) => void;

/** Responses of Azure that Azurite never gives. */
describe('AzureObjectStore', () => {
  let server: Server;
  let responses: Respond[];
  let requests: string[];

  beforeEach(async () => {
    responses = [];
    requests = [];
    server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      request.resume();
      // The last one repeats.
      const respond = responses.length > 1 ? responses.shift() : responses[0];
      request.on('end', () => respond?.(request, response));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  function endpoint(): string {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `http://127.0.0.1:${address.port}/berth`;
  }

  function opened(
    settings: Partial<AzureSettings> = {},
    limits: AzureOptions['limits'] = {},
  ): Promise<AzureObjectStore> {
    return openAzureObjectStore(
      Object.assign(new AzureSettings(), {
        storageAzureContainer: 'layers',
        storageAzureAccountName: 'berth',
        storageAzureAccountKey: KEY,
        storageAzureEndpoint: endpoint(),
        ...settings,
      }),
      { limits: { ...LIMITS, ...limits } },
    );
  }

  async function failureOf(work: Promise<unknown>): Promise<StorageError> {
    const failure: unknown = await work.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(failure instanceof StorageError)) throw new Error(`no StorageError: ${String(failure)}`);
    return failure;
  }

  it.each([
    [404, 'ContainerNotFound', '', /has no container layers.*STORAGE_AZURE_CONTAINER/],
    [
      403,
      'AuthenticationFailed',
      "The MAC signature found in the HTTP request 'c2lnbmVk' is not the same as any computed signature.",
      /the key was refused.*STORAGE_AZURE_ACCOUNT_NAME and STORAGE_AZURE_ACCOUNT_KEY/,
    ],
    [
      403,
      'AuthenticationFailed',
      "Request date header too old: 'Tue, 04 Mar 2025 10:00:00 GMT'",
      /clocks of this machine and of Azure differ/,
    ],
    [403, 'AuthorizationFailure', '', /denied by the account's firewall, or a permission is missing/],
    [403, 'AuthorizationPermissionMismatch', '', /Storage Blob Data Contributor/],
    [403, 'KeyBasedAuthenticationNotPermitted', '', /allows no keys.*STORAGE_AZURE_ACCOUNT_KEY/],
    [403, 'AccountIsDisabled', '', /account is disabled/],
    [409, 'ContainerBeingDeleted', '', /is being deleted/],
    [418, 'Teapot', '', /418 Teapot/],
  ])('says at the start what is wrong: %d %s %s', async (status, code, detail, sentence) => {
    responses = [refusal(status, code, detail)];
    const failure = await failureOf((await opened()).prepare());
    expect(failure.message).toMatch(sentence);
    expect(failure).not.toBeInstanceOf(StorageUnavailableError);
    expect(failure.cause).toBeDefined();
    expect(failure.message).toContain('request 4711');
    expect(failure.message).not.toContain('c2lnbmVk');
    expect(requests).toHaveLength(1);
  });

  it('says at the start that a shared access signature is invalid', async () => {
    responses = [refusal(403, 'AuthenticationFailed', 'Signature not valid in the specified time frame')];
    const store = await opened({
      storageAzureAccountName: undefined,
      storageAzureAccountKey: undefined,
      storageAzureEndpoint: undefined,
      storageAzureConnectionString: `BlobEndpoint=${endpoint()}/;SharedAccessSignature=sv=2025-01-05&sig=c2VzYW1l`,
    });
    const failure = await failureOf(store.prepare());
    expect(failure.message).toMatch(/signature in STORAGE_AZURE_CONNECTION_STRING has expired/);
    expect(failure.message).not.toContain('c2VzYW1l');
    expect(requests).toEqual([expect.stringContaining('sig=c2VzYW1l')]);
    expect(store.signedUrl).toBeUndefined();
    expect(store.location).not.toContain('sig');
  });

  it('says at the start that nothing listens', async () => {
    const store = await opened();
    server.close();
    await once(server, 'close');
    const failure = await failureOf(store.prepare());
    expect(failure).toBeInstanceOf(StorageUnavailableError);
    expect(failure.message).toMatch(/nothing listens at http.*STORAGE_AZURE_ENDPOINT/);
  });

  it('says at the start that the host is unknown', async () => {
    const store = await opened({ storageAzureEndpoint: 'http://berth.blob.invalid' });
    const failure = await failureOf(store.prepare());
    expect(failure.message).toMatch(/berth\.blob\.invalid can't be resolved.*STORAGE_AZURE_ACCOUNT_NAME/);
  });

  it('distinguishes a missing container from a missing blob, also for HEAD', async () => {
    const store = await opened();
    responses = [refusal(404, 'BlobNotFound')];
    expect(await store.head('x', {})).toBeUndefined();
    await store.delete(['x'], {});
    responses = [refusal(404, 'ContainerNotFound')];
    expect((await failureOf(store.head('x', {}))).message).toMatch(/no container layers/);
    expect((await failureOf(store.delete(['x'], {}))).message).toMatch(/no container layers/);
  });

  it.each([
    [503, 'ServerBusy'],
    [500, 'OperationTimedOut'],
    [500, 'InternalError'],
    [429, 'TooManyRequests'],
    [502, undefined],
  ])('retries temporary failures up to the limit: %d %s', async (status, code) => {
    const store = await opened();
    responses = [refusal(status, code), refusal(status, code), refusal(404, 'BlobNotFound')];
    expect(await store.head('x', {})).toBeUndefined();
    expect(requests).toHaveLength(3);
    responses = [refusal(status, code)];
    requests = [];
    await expect(store.head('x', {})).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(requests).toHaveLength(LIMITS.attempts);
  });

  it('aborts a request that hangs, and all of them at the deadline', async () => {
    const store = await opened({}, { deadlineMs: 3000, attempts: 100 });
    responses = [() => undefined];
    const failure = await failureOf(store.head('x', {}));
    expect(failure).toBeInstanceOf(StorageUnavailableError);
    expect(failure.message).toMatch(/no response within/);
    expect(requests.length).toBeGreaterThan(1);
    expect(requests.length).toBeLessThan(6);
  });

  it("rejects with the signal's reason while it waits for a retry", async () => {
    const store = await opened({}, { firstPauseMs: 60_000, maxPauseMs: 60_000, deadlineMs: 600_000 });
    const caller = new AbortController();
    const reason = new Error('aborted');
    responses = [
      (request, response) => {
        refusal(503, 'ServerBusy')(request, response);
        response.on('finish', () => setImmediate(() => caller.abort(reason)));
      },
    ];
    await expect(store.head('x', { signal: caller.signal })).rejects.toBe(reason);
    expect(requests).toHaveLength(1);
  });

  it.each([
    [400, 'InvalidBlockList'],
    [400, 'InvalidBlockId'],
    [409, 'BlobAlreadyExists'],
    [412, 'ConditionNotMet'],
  ])('rejects a completion that Azure refuses: %d %s', async (status, code) => {
    const store = await opened();
    responses = [refusal(status, code)];
    const completion = store.completeMultipart({ name: 'x', id: '' }, [{ number: 1, tag: 'dGFn' }], {});
    await expect(completion).rejects.toBeInstanceOf(UploadStateError);
  });

  it('closes the connection of a stream that is destroyed', async () => {
    const store = await opened();
    const closed = new Promise<void>((resolve) => {
      responses = [
        (_, response) => {
          response.writeHead(206, { 'content-length': 10, etag: '"1"' }).write('12345');
          response.on('close', resolve);
        },
      ];
    });
    const stream = await store.get('x', { start: 0, end: 9 }, {});
    stream.destroy();
    await closed;
  });

  it('fails a stream that breaks', async () => {
    const store = await opened();
    responses = [
      (_, response) => {
        response.writeHead(206, { 'content-length': 10, etag: '"1"' });
        response.write('12345', () => response.destroy());
      },
    ];
    const stream = await store.get('x', { start: 0, end: 9 }, {});
    await expect(buffer(stream)).rejects.toThrow();
    expect(requests).toHaveLength(1);
  });

  it('refuses a response that is shorter than requested', async () => {
    const store = await opened();
    responses = [
      (_, response) => {
        response.writeHead(206, { 'content-length': 5, etag: '"1"' }).end('12345');
      },
    ];
    await expect(store.get('x', { start: 0, end: 9 }, {})).rejects.toBeInstanceOf(StorageError);
  });

  it('omits folders, which accounts with a hierarchical namespace list', async () => {
    const store = await opened({ storageAzurePrefix: 'some/' });
    const blob = (name: string, size: number, metadata: string): string =>
      `<Blob><Name>some/${name}</Name><Properties><Last-Modified>Tue, 04 Mar 2025 10:00:00 GMT</Last-Modified>
       <Etag>1</Etag><Content-Length>${size}</Content-Length></Properties>
       <Metadata>${metadata}</Metadata></Blob>`;
    responses = [
      (_, response) => {
        const blobs = blob('blobs', 0, '<hdi_isfolder>true</hdi_isfolder>') + blob('blobs/x', 5, '');
        response.writeHead(200, XML).end(
          `<?xml version="1.0" encoding="utf-8"?>
           <EnumerationResults ServiceEndpoint="x" ContainerName="layers">
           <Blobs>${blobs}</Blobs><NextMarker /></EnumerationResults>`,
        );
      },
    ];
    const found = [];
    for await (const each of store.list('blobs', {})) found.push(each);
    expect(found).toEqual([{ name: 'blobs/x', sizeBytes: 5, modifiedAt: new Date('2025-03-04T10:00:00Z') }]);
  });

  const page =
    (blobs: string, marker = ''): Respond =>
    (_, response) =>
      response.writeHead(200, XML).end(
        `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="x" ContainerName="layers">
         <Blobs>${blobs}</Blobs><NextMarker>${marker}</NextMarker></EnumerationResults>`,
      );

  it('rejects when Azure does not say where the next page is', async () => {
    const store = await opened();
    responses = [page('', 'again')];
    const all = async (): Promise<void> => {
      for await (const _ of store.list('', {}));
    };
    await expect(all()).rejects.toThrow(/where the next page of its list begins/);
    expect(requests).toHaveLength(2);
  });

  it('lists, writes and deletes at the start, under a name that the reaper finds after a crash', async () => {
    const store = await opened({ storageAzurePrefix: 'some/' });
    const done = (_: IncomingMessage, response: ServerResponse): void =>
      void response.writeHead(_.method === 'PUT' ? 201 : 202).end();
    responses = [(_, response) => response.writeHead(200).end(), page(''), done, done];
    await store.prepare();
    const [, list = '', put = '', removal = ''] = requests;
    expect(decodeURIComponent(list)).toMatch(/^GET .*comp=list.*prefix=some\/uploads\//);
    const [, name = ''] = /^PUT \/berth\/layers\/some\/(.*)$/.exec(put) ?? [];
    expect(parsePieceName(name)?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f-]{17}$/);
    expect(removal).toBe(`DELETE /berth/layers/some/${name}`);
  });

  it('says at the start that the permission to list is missing', async () => {
    const store = await opened();
    responses = [
      (_, response) => response.writeHead(200).end(),
      refusal(403, 'AuthorizationPermissionMismatch'),
    ];
    await expect(store.prepare()).rejects.toThrow(/access to the container layers is denied/);
    expect(requests).toHaveLength(2);
  });

  it('starts no deletion after a failure, and rejects when the running ones have settled', async () => {
    const store = await opened({}, { concurrentDeletes: 2 });
    let finish: () => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      responses = [
        (_, response) => {
          finish = () => response.writeHead(202).end();
          resolve();
        },
        refusal(403, 'AuthorizationPermissionMismatch'),
      ];
    });
    let isSettled = false;
    const deleting = store.delete(['a', 'b', 'c', 'd'], {}).finally(() => (isSettled = true));
    deleting.catch(() => undefined);
    await started;
    await until('the refusal', () => requests.length === 2);
    // Wait for the refusal to arrive, which has no visible effect.
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isSettled).toBe(false);
    finish();
    await expect(deleting).rejects.toThrow('is denied');
    expect(requests).toHaveLength(2);
  });

  it('deletes eight at a time', async () => {
    const store = await opened();
    const held: ServerResponse[] = [];
    responses = [(_, response) => void held.push(response)];
    const names = Array.from({ length: 12 }, (_, at) => `x${at}`);
    const deleting = store.delete(names, { signal: new AbortController().signal });
    await until('the first ones', () => held.length >= 8);
    responses = [(_, response) => response.writeHead(202).end()];
    expect(requests).toHaveLength(8);
    for (const response of held) response.writeHead(202).end();
    await deleting;
    expect(requests).toHaveLength(12);
  });

  it('ignores the blob of an abort in progress', async () => {
    const store = await opened();
    responses = [
      (_, response) => {
        response.writeHead(200, { 'content-length': 0, 'x-ms-meta-berthaborted': 'true' }).end();
      },
    ];
    expect(await store.head('x', {})).toBeUndefined();
  });

  it('deletes the blob of its abort after a lost response, and no other one', async () => {
    const store = await opened();
    const properties =
      (metadata: Record<string, string>): Respond =>
      (_, response) => {
        response.writeHead(200, { 'content-length': 0, etag: '"7"', ...metadata }).end();
      };
    responses = [
      refusal(409, 'BlobAlreadyExists'),
      properties({ 'x-ms-meta-berthaborted': 'true' }),
      (request, response) => {
        expect(request.headers['if-match']).toBe('"7"');
        response.writeHead(202).end();
      },
    ];
    await store.abortMultipart({ name: 'x', id: '' }, [], {});
    expect(requests.map((each) => each.split(' ')[0])).toEqual(['PUT', 'HEAD', 'DELETE']);
    requests = [];
    responses = [refusal(409, 'BlobAlreadyExists'), properties({})];
    await store.abortMultipart({ name: 'x', id: '' }, [], {});
    expect(requests.map((each) => each.split(' ')[0])).toEqual(['PUT', 'HEAD']);
  });

  it('signs for the endpoint that clients use', async () => {
    const store = await opened({
      storageAzurePublicEndpoint: 'https://blobs.example.org/',
      storageAzurePrefix: 'some/where/',
    });
    const url = await store.signedUrl?.('blobs/ab/x', 60);
    expect(`${url?.origin}${url?.pathname}`).toBe('https://blobs.example.org/layers/some/where/blobs/ab/x');
    expect(Object.fromEntries(url?.searchParams ?? [])).toMatchObject({
      sp: 'r',
      sr: 'b',
      spr: 'https',
      rsct: 'application/octet-stream',
    });
  });
});

function refusal(status: number, code: string | undefined, detail = ''): Respond {
  return (request, response) => {
    const body =
      request.method === 'HEAD' || code === undefined
        ? ''
        : `\uFEFF<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code>` +
          `<Message>Message of ${code}.\nRequestId:4711</Message>` +
          `${detail && `<AuthenticationErrorDetail>${detail}</AuthenticationErrorDetail>`}</Error>`;
    response
      .writeHead(status, { ...XML, ...(code && { 'x-ms-error-code': code }), 'x-ms-request-id': '4711' })
      .end(body);
  };
}
