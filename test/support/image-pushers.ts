import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf, RegistryClient } from './registry-client.js';

/** An image whose push the registry acknowledged. */
export interface PushedImage {
  readonly reference: string;
  readonly layer: string;
}

const REPOSITORY = 'pushed';

/**
 * Pushes images without a pause until it is stopped, and deletes every third one. A push that fails counts as
 * not acknowledged: the collector may have deleted its blob before its manifest came.
 */
export class ImagePushers {
  /** Images that were acknowledged and are not deleted. */
  readonly images = new Set<PushedImage>();
  private readonly pushing: Promise<void>[];
  /** How many pushes failed. */
  refused = 0;
  private isStopping = false;
  private pushed = 0;

  constructor(
    private readonly client: RegistryClient,
    count: number,
  ) {
    this.pushing = Array.from({ length: count }, () => this.pushAll());
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await Promise.all(this.pushing);
  }

  private async pushAll(): Promise<void> {
    while (!this.isStopping) {
      this.pushed += 1;
      const reference = `v${this.pushed}`;
      const isKept = this.pushed % 3 !== 0;
      const image = await this.push(reference).catch(() => undefined);
      if (image === undefined) await this.rest();
      else if (isKept) this.images.add(image);
      else await this.delete(image).catch(() => undefined);
    }
  }

  /** A registry that refuses a push, or can't be reached, is asked again a little later. */
  private async rest(): Promise<void> {
    this.refused += 1;
    await sleep(200);
  }

  private async push(reference: string): Promise<PushedImage | undefined> {
    const layer = randomBytes(30_000).toString('base64');
    const manifest = await this.client.makeImage(REPOSITORY, [layer]);
    const { status } = await this.client.putManifest(REPOSITORY, reference, manifest);
    return status === 201 ? { reference, layer: digestOf(layer) } : undefined;
  }

  private async delete({ reference }: PushedImage): Promise<void> {
    const path = `/v2/${REPOSITORY}/manifests/${reference}`;
    const digest = (await this.client.fetch(path)).headers.get('docker-content-digest');
    const { status } = await this.client.fetch(`/v2/${REPOSITORY}/manifests/${digest}`, { method: 'DELETE' });
    if (status !== 202) throw new Error(`deleting ${reference}: ${status}`);
  }
}

/** The references of the images that the registry does not serve. */
export async function lostImages(client: RegistryClient, images: Iterable<PushedImage>): Promise<string[]> {
  const lost: string[] = [];
  for (const { reference, layer } of images) {
    const manifest = await client.fetch(`/v2/${REPOSITORY}/manifests/${reference}`);
    const hasLayer = await client.blob(REPOSITORY, layer).then(
      (bytes) => digestOf(bytes) === layer,
      () => false,
    );
    if (!hasLayer || !(await manifest.text()).includes(layer)) lost.push(reference);
  }
  return lost;
}
