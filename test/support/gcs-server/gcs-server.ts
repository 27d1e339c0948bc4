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

/** https://cloud.google.com/storage/docs/json_api/v1/objects/list: of `maxResults` */
const MOST_RESULTS = 1000;

export interface GcsServerOptions {
  /** Refuse requests of the JSON API without a token; signed URLs need their signature in any case. */
  readonly auth?: boolean;
  /** Entries of a page at most. */
  readonly pageSize?: number;
}

interface Call {
  readonly method: string;
  readonly url: URL;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly answer: ServerResponse;
}

type Handler = (call: Call, ...names: string[]) => void;

/**
 * What Berth needs of Google Cloud Storage, in memory, for tests: the JSON API of
 * https://cloud.google.com/storage/docs/json_api/v1 as its documents describe it, tokens of a service account, and
 * signed URLs, whose signatures are verified. It isn't Google's: what the documents don't say is guessed here.
 */
export class GcsServer {
  readonly account = new ServiceAccount();
  /** One line for each request, as in `POST /storage/v1/b/bucket/o/name/compose`; without the query, where signatures are. */
  readonly requests: string[] = [];
  /** Permissions that the service account doesn't have, as in `storage.objects.create`. */
  readonly denied = new Set<string>();
  private readonly buckets = new Map<string, GcsBucket>();
  private readonly server: Server;

  private constructor(private readonly options: GcsServerOptions) {
    this.server = createServer((request, answer) => void this.serve(request, answer));
  }

  static async start(options: GcsServerOptions = {}): Promise<GcsServer> {
    const started = new GcsServer(options);
    await new Promise<void>((resolve) => started.server.listen(0, '127.0.0.1', resolve));
    // What holds the process, and counts in tests as held, are the connections' other ends.
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

  private async serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    try {
      const body = await buffer(request);
      const url = new URL(request.url ?? '/', this.url);
      const { method = 'GET', headers } = request;
      this.requests.push(`${method} ${url.pathname}`);
      this.route({ method, url, query: url.searchParams, headers, body, answer });
    } catch (error) {
      if (answer.headersSent || answer.destroyed) answer.destroy();
      else if (error instanceof GcsHttpError) send(answer, error.status, error.toJSON(), error.headers);
      else send(answer, 500, new GcsHttpError(500, 'backendError', String(error)).toJSON());
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
      // The XML API, which signed URLs are for.
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
        `${this.account.email} does not have ${permission} access to ${name === undefined ? `the bucket ${String(bucket)}` : 'the object'}.`,
      );
    }
  }

  /** https://developers.google.com/identity/protocols/oauth2/service-account#httprest */
  private token({ body, answer }: Call): void {
    const form = new URLSearchParams(body.toString());
    const result = this.account.exchange(form.get('assertion') ?? '');
    if ('access_token' in result) send(answer, 200, { ...result, expires_in: 3599, token_type: 'Bearer' });
    else send(answer, 400, { error: 'invalid_grant', ...result });
  }

  private getBucket({ answer }: Call, name = ''): void {
    this.bucket(name);
    send(answer, 200, { kind: 'storage#bucket', id: name, name, location: 'EU', storageClass: 'STANDARD' });
  }

  private list({ query, answer }: Call, name = ''): void {
    const bucket = this.bucket(name);
    const limit = Math.min(
      Number(query.get('maxResults') ?? MOST_RESULTS),
      this.options.pageSize ?? MOST_RESULTS,
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
    send(answer, 200, selectedBy(query, page));
  }

  private get(call: Call, name = '', object = ''): void {
    const bucket = this.bucket(name);
    const found = bucket.get(object, generationMatch(call.query));
    if (call.query.get('alt') === 'media') sendBytes(call, found);
    else send(call.answer, 200, selectedBy(call.query, metadataOf(bucket, found)));
  }

  private delete({ query, answer }: Call, name = '', object = ''): void {
    this.bucket(name).delete(object, generationMatch(query));
    answer.writeHead(204).end();
  }

  private compose({ query, body, answer }: Call, name = '', object = ''): void {
    const bucket = this.bucket(name);
    const { sourceObjects = [], destination = {} } = JSON.parse(body.toString()) as {
      sourceObjects?: { name: string; generation?: string | number }[];
      destination?: GcsMetadata;
    };
    const made = bucket.compose(object, sourceObjects, destination, generationMatch(query));
    send(answer, 200, selectedBy(query, metadataOf(bucket, made)));
  }

  private insert({ query, headers, body, answer }: Call, name = ''): void {
    const bucket = this.bucket(name);
    const { metadata, bytes } = insertion(query, headers['content-type'] ?? '', body);
    const made = bucket.insert(metadata.name ?? '', bytes, metadata, generationMatch(query));
    send(answer, 200, selectedBy(query, metadataOf(bucket, made)));
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

/** https://cloud.google.com/storage/docs/uploading-objects: simple uploads, with metadata or without. */
function insertion(
  query: URLSearchParams,
  contentType: string,
  body: Buffer,
): { metadata: GcsMetadata; bytes: Buffer } {
  const inQuery = query.has('name') ? { name: query.get('name') ?? '' } : {};
  if (query.get('uploadType') === 'media') return { metadata: { contentType, ...inQuery }, bytes: body };
  if (query.get('uploadType') !== 'multipart') throw GcsHttpError.invalid('Upload type is not served here.');
  const [metadata, content, ...more] = partsOf(contentType, body);
  if (!metadata || !content || more.length > 0) throw GcsHttpError.invalid('Expected metadata and content.');
  const told = JSON.parse(metadata.bytes.toString()) as GcsMetadata;
  return { metadata: { contentType: content.contentType ?? '', ...told, ...inQuery }, bytes: content.bytes };
}

/** https://cloud.google.com/storage/docs/request-preconditions */
function generationMatch(query: URLSearchParams): GenerationMatch {
  const text = query.get('ifGenerationMatch');
  return text === null ? undefined : BigInt(text);
}

/** RFC 9110 section 14, one range: https://cloud.google.com/storage/docs/json_api/v1/objects/get */
function sendBytes({ headers, query, answer }: Call, { chunks, sizeBytes, contentType }: GcsObject): void {
  const fixed = {
    'content-type': query.get('response-content-type') ?? contentType ?? 'application/octet-stream',
    'accept-ranges': 'bytes',
  };
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (from === '' && to === '') {
    answer.writeHead(200, { ...fixed, 'content-length': sizeBytes });
    return write(answer, chunks, 0, sizeBytes - 1);
  }
  const start = from === '' ? Math.max(sizeBytes - Number(to), 0) : Number(from);
  const end = from === '' || to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (start > end) {
    throw new GcsHttpError(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable', {
      'content-range': `bytes */${sizeBytes}`,
    });
  }
  answer.writeHead(206, {
    ...fixed,
    'content-length': end - start + 1,
    'content-range': `bytes ${start}-${end}/${sizeBytes}`,
  });
  return write(answer, chunks, start, end);
}

function write(answer: ServerResponse, chunks: readonly Buffer[], start: number, end: number): void {
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(Math.max(start - at, 0), Math.max(end + 1 - at, 0));
    if (part.length > 0) answer.write(part);
    at += chunk.length;
  }
  answer.end();
}

function selectedBy(query: URLSearchParams, value: unknown): unknown {
  const fields = query.get('fields');
  return fields === null ? value : selected(value, fields);
}

function send(
  answer: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(value);
  answer
    .writeHead(status, {
      'content-type': 'application/json; charset=UTF-8',
      'content-length': Buffer.byteLength(text),
      ...headers,
    })
    .end(text);
}
