import { createHash } from 'node:crypto';

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

/** What a test says to a registry, in a line each. Nothing is checked here: tests do that. */
export class RegistryClient {
  constructor(readonly url: string) {}

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(new URL(path, this.url), { redirect: 'manual', ...init });
  }

  /** Pushes a blob in one request and answers its digest. */
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

  /** Begins an upload and answers its location. */
  async startUpload(name: string, query = ''): Promise<string> {
    const response = await this.fetch(`/v2/${name}/blobs/uploads/${query}`, { method: 'POST' });
    const location = response.headers.get('location');
    if (response.status !== 202 || location === null)
      throw new Error(`starting an upload: ${response.status}`);
    return location;
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

  /** Pushes config and layers and answers an image manifest of them, not pushed yet. */
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
