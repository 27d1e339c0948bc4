import { setTimeout as delay } from 'node:timers/promises';
import { digestOf, OCI_MANIFEST, withDigest } from '../../support/registry-client.js';
import { type Answer, type ProxiedClient, RequestFailure } from './proxied-client.js';

/** As docker: a layer is tried five times. */
const ATTEMPTS = 5;
const PIECE_BYTES = 64 * 1024;

export interface PushedImage {
  readonly repository: string;
  readonly tag: string;
  readonly manifest: string;
}

/**
 * Pushes and pulls images as docker does. A layer whose request fails (5xx, a broken connection) is sent
 * again in a new session. A pull goes on after the last byte of a layer. Other requests are not repeated, but
 * for GET and HEAD, which also HTTP libraries send again.
 */
export class ImageClient {
  constructor(
    private readonly client: ProxiedClient,
    /** How long a layer takes. */
    private readonly layerMs: number,
  ) {}

  /** @throws if an attempt too many fails */
  async push(repository: string, tag: string, layers: readonly Buffer[]): Promise<PushedImage> {
    const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', tag }));
    await Promise.all([config, ...layers].map((bytes) => this.pushLayer(repository, bytes)));
    const descriptor = (kind: string, bytes: Buffer) => ({
      mediaType: `application/vnd.oci.image.${kind}`,
      digest: digestOf(bytes),
      size: bytes.length,
    });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: descriptor('config.v1+json', config),
      layers: layers.map((bytes) => descriptor('layer.v1.tar', bytes)),
    });
    const headers = { 'Content-Type': OCI_MANIFEST };
    await this.client.expect(201, 'PUT', `/v2/${repository}/manifests/${tag}`, {
      headers,
      body: [Buffer.from(manifest)],
    });
    this.client.figures.pushed += 1;
    return { repository, tag, manifest };
  }

  /** @throws if the image is not what was pushed */
  async pull({ repository, tag, manifest }: PushedImage): Promise<void> {
    const { body } = await this.get(`/v2/${repository}/manifests/${tag}`);
    if (body.toString() !== manifest) throw new Error(`${repository}:${tag} is another image`);
    const { config, layers } = JSON.parse(manifest) as Record<'config', { digest: string }> & {
      layers: { digest: string }[];
    };
    for (const { digest } of [config, ...layers]) {
      const blob = await this.download(`/v2/${repository}/blobs/${digest}`);
      if (digestOf(blob) !== digest) throw new Error(`${repository}@${digest} has other bytes`);
    }
    this.client.figures.pulled += 1;
  }

  private async pushLayer(repository: string, bytes: Buffer): Promise<void> {
    const { figures } = this.client;
    const digest = digestOf(bytes);
    for (let attempt = 1; ; attempt += 1) {
      let sent = 0;
      const body = this.paced(bytes, (count) => (sent += count));
      try {
        const begun = await this.client.expect(202, 'POST', `/v2/${repository}/blobs/uploads/`);
        const appended = await this.client.expect(202, 'PATCH', String(begun.headers.location), { body });
        figures.bytesSent += sent;
        await this.client.expect(201, 'PUT', withDigest(String(appended.headers.location), digest));
        return;
      } catch (error) {
        if (!(error instanceof RequestFailure) || attempt === ATTEMPTS) throw error;
        figures.retry(`a layer (${error.message})`);
        figures.bytesAgain += sent;
        await delay(200 * attempt);
      }
    }
  }

  private async *paced(bytes: Buffer, onSent: (count: number) => void): AsyncGenerator<Buffer, void> {
    const pauseMs = this.layerMs / Math.ceil(bytes.length / PIECE_BYTES);
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      const piece = bytes.subarray(start, start + PIECE_BYTES);
      onSent(piece.length);
      yield piece;
      await delay(pauseMs);
    }
  }

  private async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await this.client.send('GET', path, { headers });
        if (answer.status === 200 || answer.status === 206) return answer;
        throw new Error(`GET ${path}: ${answer.status}`);
      } catch (error) {
        const isPartial = error instanceof RequestFailure && error.partial.length > 0;
        if (!(error instanceof RequestFailure) || isPartial || attempt === ATTEMPTS) throw error;
        this.client.figures.retry(error.message);
        await delay(200 * attempt);
      }
    }
  }

  private async download(path: string): Promise<Buffer> {
    let received = Buffer.alloc(0);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const range = received.length === 0 ? {} : { Range: `bytes=${received.length}-` };
        const { body } = await this.get(path, range);
        return Buffer.concat([received, body]);
      } catch (error) {
        if (!(error instanceof RequestFailure) || attempt === ATTEMPTS) throw error;
        this.client.figures.retry('the rest of a layer (GET)');
        received = Buffer.concat([received, error.partial]);
      }
    }
  }
}
