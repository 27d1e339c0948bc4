import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  GcsBucket,
  type GcsMetadata,
  type GcsObject,
  type GenerationMatch,
  metadataOf,
} from './gcs-bucket.js';
import { GcsHttpError } from './gcs-http-error.js';
import { partsOf } from './multipart-related.js';
import { selected } from './partial-response.js';
import { ServiceAccount } from './service-account.js';
import { verifySignedUrl } from './signed-url.js';

/** The maximum of `maxResults`: https://cloud.google.com/storage/docs/json_api/v1/objects/list */
const MAX_RESULTS = 1000;

export interface GcsServerOptions {
  /** Refuse requests of the JSON API without a token. Signed URLs always need their signature. */
  readonly auth?: boolean;
  /** Maximum entries per page. */
  readonly pageSize?: number;
}

interface Call {
  readonly method: string;
  readonly url: URL;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly response: ServerResponse;
}

type Handler = (call: Call, ...names: string[]) => void;

/**
 * The parts of Google Cloud Storage that Berth uses, in memory, for tests: the JSON API as documented at
 * https://cloud.google.com/storage/docs/json_api/v1, tokens of a service account, and signed URLs, whose
 * signatures are verified. Where the documentation is silent, it is a guess.
 */
export class GcsServer {
  readonly account = new ServiceAccount();
  /** One line per request, as in `POST /storage/v1/b/bucket/o/name/compose`, without the query. */
  readonly requests: string[] = [];
  /** Permissions that the service account lacks, as in `storage.objects.create`. */
  readonly denied = new Set<string>();
  private readonly buckets = new Map<string, GcsBucket>();
  private readonly server: Server;

  private constructor(private readonly options: GcsServerOptions) {
    this.server = createServer((request, response) => void this.serve(request, response));
  }

  static async start(options: GcsServerOptions = {}): Promise<GcsServer> {
    const started = new GcsServer(options);
    await new Promise<void>((resolve) => started.server.listen(0, '127.0.0.1', resolve));
    // Only the clients' ends of connections keep the process alive.
    started.server.on('connection', (socket) => void socket.unref()).unref();
    return started;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** For `STORAGE_GCS_KEY_FILE`. */
  keyFile(): string {
    return JSON.stringify(this.account.keyFile(this.tokenUrl));
  }

  createBucket(name: string): GcsBucket {
    const bucket = new GcsBucket(name);
    this.buckets.set(name, bucket);
    return bucket;
  }

  async openConnections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private get tokenUrl(): string {
    return `${this.url}/token`;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await buffer(request);
      const url = new URL(request.url ?? '/', this.url);
      const { method = 'GET', headers } = request;
      this.requests.push(`${method} ${url.pathname}`);
      this.route({ method, url, query: url.searchParams, headers, body, response });
    } catch (error) {
      if (response.headersSent || response.destroyed) response.destroy();
      else if (error instanceof GcsHttpError) send(response, error.status, error.toJSON(), error.headers);
      else send(response, 500, new GcsHttpError(500, 'backendError', String(error)).toJSON());
    }
  }

  private route(call: Call): void {
    const { method, url, query } = call;
    const routes: [string, RegExp, string, Handler][] = [
      ['POST', /^\/token$/, '', (each) => this.token(each)],
      ['GET', /^\/storage\/v1\/b\/([^/]+)$/, 'storage.buckets.get', (...all) => this.getBucket(...all)],
      ['GET', /^\/storage\/v1\/b\/([^/]+)\/o$/, 'storage.objects.list', (...all) => this.list(...all)],
      ['GET', /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)$/, 'storage.objects.get', (...all) => this.get(...all)],
      [
        'DELETE',
        /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)$/,
        'storage.objects.delete',
        (...all) => this.delete(...all),
      ],
      [
        'POST',
        /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)\/compose$/,
        'storage.objects.create',
        (...all) => this.compose(...all),
      ],
      [
        'POST',
        /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/,
        'storage.objects.create',
        (...all) => this.insert(...all),
      ],
      // The XML API, which signed URLs use.
      [
        'GET',
        /^\/(?!storage\/|upload\/)([^/]+)\/(.+)$/,
        'storage.objects.get',
        (...all) => this.download(...all),
      ],
    ];
    for (const [verb, path, permission, handler] of routes) {
      const names = method === verb ? path.exec(url.pathname)?.slice(1).map(decodeURIComponent) : undefined;
      if (!names) continue;
      const isJson = url.pathname.startsWith('/storage/') || url.pathname.startsWith('/upload/');
      if (isJson) this.authorize(call, permission, names);
      return handler(call, ...names);
    }
    throw new GcsHttpError(
      404,
      'notFound',
      `Not Found: ${method} ${url.pathname}?${[...query.keys()].join('&')}`,
    );
  }

  private authorize({ headers }: Call, permission: string, [bucket, name]: string[]): void {
    if (this.options.auth === true && !this.account.hasToken(headers.authorization)) {
      throw new GcsHttpError(
        401,
        headers.authorization === undefined ? 'required' : 'authError',
        headers.authorization === undefined
          ? 'Anonymous caller does not have access.'
          : 'Invalid Credentials',
        { 'www-authenticate': 'Bearer realm="https://accounts.google.com/"' },
      );
    }
    if (this.denied.has(permission)) {
      throw new GcsHttpError(
        403,
        'forbidden',
        `${this.account.email} does not have ${permission} access to ` +
          `${name === undefined ? `the bucket ${String(bucket)}` : 'the object'}.`,
      );
    }
  }

  /** https://developers.google.com/identity/protocols/oauth2/service-account#httprest */
  private token({ body, response }: Call): void {
    const form = new URLSearchParams(body.toString());
    const result = this.account.exchange(form.get('assertion') ?? '');
    if ('access_token' in result) send(response, 200, { ...result, expires_in: 3599, token_type: 'Bearer' });
    else send(response, 400, { error: 'invalid_grant', ...result });
  }

  private getBucket({ response }: Call, name = ''): void {
    this.bucket(name);
    send(response, 200, { kind: 'storage#bucket', id: name, name, location: 'EU', storageClass: 'STANDARD' });
  }

  private list({ query, response }: Call, name = ''): void {
    const bucket = this.bucket(name);
    const limit = Math.min(
      Number(query.get('maxResults') ?? MAX_RESULTS),
      this.options.pageSize ?? MAX_RESULTS,
    );
    const token = query.get('pageToken');
    const after = token === null ? undefined : Buffer.from(token, 'base64url').toString();
    const { items, more } = bucket.list(query.get('prefix') ?? '', after, limit);
    const last = more ? items.at(-1)?.name : undefined;
    const page = {
      kind: 'storage#objects',
      nextPageToken: last === undefined ? undefined : Buffer.from(last).toString('base64url'),
      items: items.length === 0 ? undefined : items.map((item) => metadataOf(bucket, item)),
    };
    send(response, 200, selectedBy(query, page));
  }

  private get(call: Call, name = '', object = ''): void {
    const bucket = this.bucket(name);
    const found = bucket.get(object, generationMatch(call.query));
    if (call.query.get('alt') === 'media') sendBytes(call, found);
    else send(call.response, 200, selectedBy(call.query, metadataOf(bucket, found)));
  }

  private delete({ query, response }: Call, name = '', object = ''): void {
    this.bucket(name).delete(object, generationMatch(query));
    response.writeHead(204).end();
  }

  private compose({ query, body, response }: Call, name = '', object = ''): void {
    const bucket = this.bucket(name);
    const { sourceObjects = [], destination = {} } = JSON.parse(body.toString()) as {
      sourceObjects?: { name: string; generation?: string | number }[];
      destination?: GcsMetadata;
    };
    const made = bucket.compose(object, sourceObjects, destination, generationMatch(query));
    send(response, 200, selectedBy(query, metadataOf(bucket, made)));
  }

  private insert({ query, headers, body, response }: Call, name = ''): void {
    const bucket = this.bucket(name);
    const { metadata, bytes } = insertion(query, headers['content-type'] ?? '', body);
    const made = bucket.insert(metadata.name ?? '', bytes, metadata, generationMatch(query));
    send(response, 200, selectedBy(query, metadataOf(bucket, made)));
  }

  private download(call: Call, name = '', object = ''): void {
    if (!call.query.has('X-Goog-Signature')) throw new GcsHttpError(403, 'AccessDenied', 'Access denied.');
    verifySignedUrl(call, this.account);
    sendBytes(call, this.bucket(name).get(object));
  }

  private bucket(name: string): GcsBucket {
    const bucket = this.buckets.get(name);
    if (!bucket) throw GcsHttpError.noBucket();
    return bucket;
  }
}

/** Simple uploads, with or without metadata: https://cloud.google.com/storage/docs/uploading-objects */
function insertion(
  query: URLSearchParams,
  contentType: string,
  body: Buffer,
): { metadata: GcsMetadata; bytes: Buffer } {
  const inQuery = query.has('name') ? { name: query.get('name') ?? '' } : {};
  if (query.get('uploadType') === 'media') return { metadata: { contentType, ...inQuery }, bytes: body };
  if (query.get('uploadType') !== 'multipart')
    throw GcsHttpError.invalid('This upload type is not implemented.');
  const [metadata, content, ...more] = partsOf(contentType, body);
  if (!metadata || !content || more.length > 0) throw GcsHttpError.invalid('Expected metadata and content.');
  const given = JSON.parse(metadata.bytes.toString()) as GcsMetadata;
  return { metadata: { contentType: content.contentType ?? '', ...given, ...inQuery }, bytes: content.bytes };
}

/** https://cloud.google.com/storage/docs/request-preconditions */
function generationMatch(query: URLSearchParams): GenerationMatch {
  const text = query.get('ifGenerationMatch');
  return text === null ? undefined : BigInt(text);
}

/** RFC 9110 section 14, one range: https://cloud.google.com/storage/docs/json_api/v1/objects/get */
function sendBytes({ headers, query, response }: Call, { chunks, sizeBytes, contentType }: GcsObject): void {
  const fixed = {
    'content-type': query.get('response-content-type') ?? contentType ?? 'application/octet-stream',
    'accept-ranges': 'bytes',
  };
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (from === '' && to === '') {
    response.writeHead(200, { ...fixed, 'content-length': sizeBytes });
    return write(response, chunks, 0, sizeBytes - 1);
  }
  const start = from === '' ? Math.max(sizeBytes - Number(to), 0) : Number(from);
  const end = from === '' || to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (start > end) {
    throw new GcsHttpError(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable', {
      'content-range': `bytes */${sizeBytes}`,
    });
  }
  response.writeHead(206, {
    ...fixed,
    'content-length': end - start + 1,
    'content-range': `bytes ${start}-${end}/${sizeBytes}`,
  });
  return write(response, chunks, start, end);
}

function write(response: ServerResponse, chunks: readonly Buffer[], start: number, end: number): void {
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(Math.max(start - at, 0), Math.max(end + 1 - at, 0));
    if (part.length > 0) response.write(part);
    at += chunk.length;
  }
  response.end();
}

function selectedBy(query: URLSearchParams, value: unknown): unknown {
  const fields = query.get('fields');
  return fields === null ? value : selected(value, fields);
}

function send(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(value);
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=UTF-8',
      'content-length': Buffer.byteLength(text),
      ...headers,
    })
    .end(text);
}
