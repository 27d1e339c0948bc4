import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOST } from '../load/connection.js';
import { ContentMaker, contentOf, type Content } from '../load/content.js';
import { MANIFEST_TYPE } from '../load/jobs.js';

/** An image that the registry has acknowledged. */
export interface Acknowledged {
  readonly tag: string;
  readonly digests: readonly string[];
}

/** How long a client works on other layers between its first blob and the manifest. */
const PUSH_MS = 300;

/** Pushes images as clients do: a blob that the registry has is not uploaded. */
export class ImagePushes {
  readonly acknowledged: Acknowledged[] = [];
  /** The first words of each refusal. */
  readonly refused: string[] = [];

  constructor(
    private readonly port: number,
    private readonly repository: string,
    private readonly layerBytes: number,
  ) {}

  /** Pushes one image with a new layer, and one that another image had. */
  async push(tag: string, known: Content): Promise<void> {
    const layers = [new ContentMaker(this.layerBytes).make(tag), known];
    const config = contentOf(Buffer.from(JSON.stringify({ tag })));
    try {
      for (const layer of layers) await this.provide(layer);
      await sleep(PUSH_MS);
      await this.provide(config);
      const response = await this.fetch(`manifests/${tag}`, {
        method: 'PUT',
        body: manifestOf(config, layers),
        headers: { 'Content-Type': MANIFEST_TYPE },
      });
      const text = response.bytes.toString('utf8', 0, 80);
      if (response.status !== 201) throw new Error(`PUT of the manifest: ${response.status} ${text}`);
      this.acknowledged.push({ tag, digests: [config, ...layers].map(({ digest }) => digest) });
    } catch (error) {
      this.refused.push(error instanceof Error ? error.message : String(error));
    }
  }

  /** Of the acknowledged images: how many can't be pulled whole. */
  async broken(): Promise<number> {
    let count = 0;
    for (const { tag, digests } of this.acknowledged) {
      const manifest = await this.fetch(`manifests/${tag}`, { headers: { Accept: MANIFEST_TYPE } });
      const blobs = await Promise.all(digests.map((digest) => this.isWhole(digest)));
      if (manifest.status !== 200 || blobs.includes(false)) count += 1;
    }
    return count;
  }

  async provide(content: Content): Promise<void> {
    const { digest, sizeBytes } = content;
    const head = await this.fetch(`blobs/${digest}`, { method: 'HEAD' });
    if (head.status === 200) return;
    const started = await this.fetch('blobs/uploads/', { method: 'POST' });
    const location = new URL(started.location, `http://${HOST}:${this.port}`);
    location.searchParams.set('digest', digest);
    const body = Buffer.concat([...content.parts(0, sizeBytes)]);
    const response = await received(await fetch(location, { method: 'PUT', body }));
    if (response.status !== 201) throw new Error(`PUT of a blob: ${response.status}`);
  }

  private async isWhole(digest: string): Promise<boolean> {
    // The peer closes the connection if it has no bytes for what its cache knows.
    const response = await this.fetch(`blobs/${digest}`).catch(() => undefined);
    if (response?.status !== 200) return false;
    return `sha256:${createHash('sha256').update(response.bytes).digest('hex')}` === digest;
  }

  private async fetch(path: string, init: RequestInit = {}): Promise<Received> {
    return received(await fetch(`http://${HOST}:${this.port}/v2/${this.repository}/${path}`, init));
  }
}

interface Received {
  readonly status: number;
  readonly location: string;
  readonly bytes: Buffer;
}

async function received(response: Response): Promise<Received> {
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, location: response.headers.get('location') ?? '', bytes };
}

function manifestOf(config: Content, layers: readonly Content[]): string {
  const descriptor = (mediaType: string, { digest, sizeBytes }: Content) => ({
    mediaType,
    digest,
    size: sizeBytes,
  });
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)),
  });
}
