import { createHash } from 'node:crypto';
import { fetchTrusting } from './https-client.js';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/** The digest of bytes, by Node's own hash: independent of what is tested. */
export function digestOf(bytes: Uint8Array | string, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** The code of the first error in the spec's shape. */
export async function errorCode(response: Response): Promise<string | undefined> {
  const body = (await response.json()) as { errors: { code: string }[] };
  return body.errors[0]?.code;
}

/** The only codes that a client of the spec has to know (spec.md, "Error Codes"). */
const SPEC_CODES = new Set([
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]);

export interface SpecError {
  readonly code: string;
  readonly message: string;
  readonly detail?: unknown;
}

/** The errors of a 4xx response. @throws unless it has exactly the spec's shape */
export async function specErrors(response: Response): Promise<SpecError[]> {
  const text = await response.text();
  const wrong = (what: string) => new Error(`${response.status} ${text}: ${what}`);
  if (response.status < 400 || response.status > 499) throw wrong('not a refusal');
  if (response.headers.get('content-type') !== 'application/json') throw wrong('the Content-Type');
  if (response.headers.get('docker-distribution-api-version') !== 'registry/2.0') throw wrong('the version');
  const { errors, ...others } = JSON.parse(text) as { errors: SpecError[] };
  if (Object.keys(others).length > 0 || errors.length === 0) throw wrong('the shape');
  for (const { code, message, detail: _, ...more } of errors) {
    if (!SPEC_CODES.has(code)) throw wrong('a code that the spec does not have');
    if (typeof message !== 'string' || message === '') throw wrong('the message');
    if (Object.keys(more).length > 0) throw wrong('a field that the spec does not have');
  }
  return errors;
}

/** Status and code of a 4xx response: `404 NAME_UNKNOWN`. @throws unless it has exactly the spec's shape */
export async function refusal(response: Response): Promise<string> {
  const codes = new Set((await specErrors(response)).map(({ code }) => code));
  return `${response.status} ${[...codes].join(' ')}`;
}

/** The headers about the content, without those about this request, time and connection. */
export function contentHeaders({ headers }: Response): Record<string, string> {
  const ofTheMoment = ['date', 'connection', 'keep-alive', 'x-request-id'];
  return Object.fromEntries([...headers].filter(([name]) => !ofTheMoment.includes(name)));
}

/** A location with `digest` in its query. */
export function withDigest(location: string, digest: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`;
}

/** Sends a test's requests to a registry. Tests check the responses. */
export class RegistryClient {
  /** @param authorization the header of each request. */
  constructor(
    readonly url: string,
    private readonly authorization?: string,
  ) {}

  fetch(path: string, init?: RequestInit): Promise<Response> {
    const headers = new Headers(init?.headers);
    if (this.authorization !== undefined) headers.set('Authorization', this.authorization);
    return fetchTrusting(new URL(path, this.url), { redirect: 'manual', ...init, headers });
  }

  /** Pushes a blob in one request and returns its digest. */
  async pushBlob(
    name: string,
    bytes: Uint8Array | string,
    algorithm: 'sha256' | 'sha512' = 'sha256',
  ): Promise<string> {
    const digest = digestOf(bytes, algorithm);
    const response = await this.fetch(`/v2/${name}/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: Buffer.from(bytes),
    });
    if (response.status !== 201)
      throw new Error(`pushing a blob: ${response.status} ${await response.text()}`);
    return digest;
  }

  /**
   * Starts an upload and returns the path of its session. A body without a Content-Range is appended there
   * whatever the offset is, unlike at a Location.
   */
  async startUpload(name: string, query = ''): Promise<string> {
    return new URL(await this.uploadLocation(name, query), this.url).pathname;
  }

  /** Starts an upload and returns its Location, as it is in the response. */
  async uploadLocation(name: string, query = ''): Promise<string> {
    const response = await this.fetch(`/v2/${name}/blobs/uploads/${query}`, { method: 'POST' });
    const location = response.headers.get('location');
    if (response.status !== 202 || location === null)
      throw new Error(`starting an upload: ${response.status}`);
    return location;
  }

  /** Sends a chunk. `range` is its Content-Range. */
  patch(location: string, bytes: Uint8Array | string, range?: string): Promise<Response> {
    const headers: Record<string, string> = range === undefined ? {} : { 'Content-Range': range };
    return this.fetch(location, { method: 'PATCH', body: Buffer.from(bytes), headers });
  }

  /** Commits an upload, with a last chunk or without. */
  commit(location: string, digest: string, bytes?: Uint8Array | string, range?: string): Promise<Response> {
    const headers: Record<string, string> = range === undefined ? {} : { 'Content-Range': range };
    const body = bytes === undefined ? null : Buffer.from(bytes);
    return this.fetch(withDigest(location, digest), { method: 'PUT', body, headers });
  }

  /** The bytes of a blob. @throws unless it is served. */
  async blob(name: string, digest: string): Promise<Buffer> {
    const response = await this.fetch(`/v2/${name}/blobs/${digest}`);
    if (response.status !== 200)
      throw new Error(`pulling a blob: ${response.status} ${await response.text()}`);
    return Buffer.from(await response.arrayBuffer());
  }

  async putManifest(
    name: string,
    reference: string,
    manifest: unknown,
    headers: Record<string, string> = { 'Content-Type': OCI_MANIFEST },
  ): Promise<Response> {
    const body = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    return this.fetch(`/v2/${name}/manifests/${reference}`, { method: 'PUT', body, headers });
  }

  /** Pushes config and layers and returns an image manifest of them, which is not pushed yet. */
  async makeImage(name: string, layers: readonly string[] = ['layer'], extra: Record<string, unknown> = {}) {
    const config = '{}';
    const descriptor = async (mediaType: string, text: string) => ({
      mediaType,
      digest: await this.pushBlob(name, text),
      size: Buffer.byteLength(text),
    });
    return {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: await descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: await Promise.all(
        layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar', layer)),
      ),
      ...extra,
    };
  }
}
