import { createHash } from 'node:crypto';
import { SeededRandom } from '../cases/seeded-random.js';
import { withQuery } from '../load/request-text.js';
import type { SoakClient } from './http-client.js';
import { type PoolBlob, type PoolImage, REPOSITORIES, TAGS } from './pool.js';

const OCTETS = { 'Content-Type': 'application/octet-stream' };

/**
 * One client. It does what clients of a registry do, always with the same contents and names.
 */
export class SoakOperations {
  private readonly all: readonly (readonly [name: string, weight: number, work: () => Promise<void>])[] = [
    ['image pushed', 4, () => this.push()],
    ['image pulled', 6, () => this.pull()],
    ['part of a layer read', 4, () => this.readRange()],
    ['HEAD', 4, () => this.head()],
    ['upload abandoned', 2, () => this.abandon()],
    ['upload cut off', 2, () => this.cutOff()],
    ['upload cancelled', 1, () => this.cancel()],
    ['blob mounted', 3, () => this.mount()],
    ['tag moved', 4, () => this.moveTag()],
    ['tag deleted', 2, () => this.remove(`manifests/${this.pick(TAGS)}`)],
    ['manifest deleted', 1, () => this.remove(`manifests/${this.pick(this.images).manifest.digest}`)],
    ['blob deleted', 1, () => this.remove(`blobs/${this.blob().digest}`)],
    ['lists read', 2, () => this.list()],
  ];

  constructor(
    private readonly client: SoakClient,
    private readonly images: readonly PoolImage[],
    private readonly random: SeededRandom,
    /** Called if bytes differ from what was pushed. */
    private readonly onWrongBytes: (what: string) => void,
  ) {}

  /** Does one operation and returns its name. */
  async next(): Promise<string> {
    let left = this.random.below(this.all.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [name, weight, work] of this.all) {
      left -= weight;
      if (left >= 0) continue;
      await work();
      return name;
    }
    throw new Error('the weights do not add up');
  }

  /** As clients do: mostly skips blobs that the repository has. */
  async push(repository: string = this.pick(REPOSITORIES), image = this.pick(this.images)): Promise<void> {
    for (const blob of image.blobs) {
      const head = await this.client.send('HEAD', `/v2/${repository}/blobs/${blob.digest}`);
      if (head.status !== 200 || this.random.below(4) === 0) await this.pushBlob(repository, blob);
    }
    await this.putManifest(repository, image, this.pick(TAGS));
  }

  private async pushBlob(repository: string, { digest, bytes }: PoolBlob): Promise<void> {
    if (this.random.below(2) === 0) {
      const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
      await this.client.send('POST', path, { headers: OCTETS, body: bytes });
      return;
    }
    const location = await this.begin(repository);
    if (location === undefined) return;
    await this.client.send('PATCH', location, { headers: OCTETS, body: bytes });
    await this.client.send('PUT', withQuery(location, `digest=${digest}`));
  }

  private async putManifest(repository: string, image: PoolImage, tag: string): Promise<void> {
    const { mediaType, manifest } = image;
    const request = { headers: { 'Content-Type': mediaType }, body: manifest.bytes };
    await this.client.send('PUT', `/v2/${repository}/manifests/${tag}`, request);
  }

  private async pull(): Promise<void> {
    const repository = this.pick(REPOSITORIES);
    const { status, digest } = await this.client.send(
      'GET',
      `/v2/${repository}/manifests/${this.pick(TAGS)}`,
    );
    if (status !== 200) return;
    const image = this.images.find(({ manifest }) => manifest.digest === digest);
    if (image === undefined) return this.onWrongBytes(`a manifest of ${repository} is ${digest}`);
    for (const blob of image.blobs) {
      const found = await this.client.send('GET', `/v2/${repository}/blobs/${blob.digest}`);
      if (found.status === 200 && found.digest !== blob.digest)
        this.onWrongBytes(`${blob.digest} is ${found.digest}`);
    }
  }

  private async readRange(): Promise<void> {
    const { digest, bytes } = this.blob();
    const start = this.random.below(bytes.length);
    const end = start + this.random.below(bytes.length - start);
    const headers = { Range: `bytes=${start}-${end}` };
    const found = await this.client.send('GET', `/v2/${this.pick(REPOSITORIES)}/blobs/${digest}`, {
      headers,
    });
    const part = bytes.subarray(start, end + 1);
    const expected = `sha256:${createHash('sha256').update(part).digest('hex')}`;
    if (found.status === 206 && found.digest !== expected) {
      this.onWrongBytes(`bytes ${start}-${end} of ${digest} differ`);
    }
  }

  private async head(): Promise<void> {
    const repository = this.pick(REPOSITORIES);
    await this.client.send('HEAD', `/v2/${repository}/manifests/${this.pick(TAGS)}`);
    await this.client.send('HEAD', `/v2/${repository}/blobs/${this.blob().digest}`);
  }

  private async abandon(): Promise<void> {
    const location = await this.begin(this.pick(REPOSITORIES));
    if (location === undefined) return;
    const { bytes } = this.blob();
    const part = bytes.subarray(0, this.random.below(bytes.length));
    await this.client.send('PATCH', location, { headers: OCTETS, body: part });
  }

  private async cutOff(): Promise<void> {
    const location = await this.begin(this.pick(REPOSITORIES));
    if (location === undefined) return;
    const { bytes } = this.blob();
    const leaveAfterBytes = this.random.below(bytes.length);
    await this.client.send('PATCH', location, { headers: OCTETS, body: bytes, leaveAfterBytes });
  }

  private async cancel(): Promise<void> {
    const location = await this.begin(this.pick(REPOSITORIES));
    if (location !== undefined) await this.client.send('DELETE', location);
  }

  private async mount(): Promise<void> {
    const { digest } = this.blob();
    const from = this.random.below(2) === 0 ? '' : `&from=${this.pick(REPOSITORIES)}`;
    const path = `/v2/${this.pick(REPOSITORIES)}/blobs/uploads/?mount=${digest}${from}`;
    const { status, headers } = await this.client.send('POST', path);
    if (status === 202 && headers.location !== undefined) await this.client.send('DELETE', headers.location);
  }

  /** The image may have been deleted: then 404. */
  private moveTag(): Promise<void> {
    return this.putManifest(this.pick(REPOSITORIES), this.pick(this.images), this.pick(TAGS));
  }

  private async remove(path: string): Promise<void> {
    await this.client.send('DELETE', `/v2/${this.pick(REPOSITORIES)}/${path}`);
  }

  private async list(): Promise<void> {
    const repository = this.pick(REPOSITORIES);
    await this.client.send('GET', '/v2/_catalog');
    await this.client.send('GET', `/v2/${repository}/tags/list`);
    await this.client.send('GET', `/v2/${repository}/referrers/${this.pick(this.images).manifest.digest}`);
  }

  private async begin(repository: string): Promise<string | undefined> {
    const { status, headers } = await this.client.send('POST', `/v2/${repository}/blobs/uploads/`);
    return status === 202 ? headers.location : undefined;
  }

  private blob(): PoolBlob {
    return this.pick(this.pick(this.images).blobs);
  }

  private pick<T>(list: readonly T[]): T {
    const chosen = list[this.random.below(list.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }
}
