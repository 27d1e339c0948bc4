import { setTimeout as delay } from 'node:timers/promises';
import { ImageChecks } from './image-checks.js';
import {
  imageManifest,
  type ImageManifest,
  indexManifest,
  type SmallBlob,
  smallBlob,
} from './image-content.js';
import { ImageWriter } from './image-writer.js';
import type { OwnRepository } from './own-repository.js';

/** Operations of clients that push images. A run fails if a kind does not occur. */
export const IMAGE_OPERATIONS = [
  'image pushed',
  'index pushed',
  'referrer pushed',
  'manifest pushed again after its deletion',
  'blob mounted from a repository',
  'blob mounted without a source',
  'tag moved',
  'tag deleted',
  'manifest deleted',
  'unused blob deleted',
  'deletion of a used blob refused',
  'image pulled',
  'deleted item requested',
  'tags listed',
  'referrers listed',
] as const;
export type ImageOperation = (typeof IMAGE_OPERATIONS)[number];

/** Few enough to read every byte back within seconds after a long run. */
const MAX_MANIFESTS = 40;
const LARGEST_BLOB_BYTES = 64 * 1024;
/** Number of contents that several clients push. */
const COMMON_CONTENTS = 12;
const PAUSE_MS = { least: 20, most: 120 };

/** Changes its own repository at random, and checks it all the time. */
export class ImageClient {
  readonly checks: ImageChecks;
  private readonly writer: ImageWriter;
  private count = 0;
  private readonly operations: Readonly<Record<ImageOperation, () => Promise<boolean>>> = {
    'image pushed': () => this.pushImage(),
    'index pushed': () => this.pushIndex(),
    'referrer pushed': () => this.pushReferrer(),
    'manifest pushed again after its deletion': () => this.pushAgain(),
    'blob mounted from a repository': () => this.mount(this.commonRepository),
    'blob mounted without a source': () => this.mount(undefined),
    'tag moved': () => this.moveTag(),
    'tag deleted': () => this.deleteTag(),
    'manifest deleted': () => this.deleteManifest(),
    'unused blob deleted': () => this.deleteUnusedBlob(),
    'deletion of a used blob refused': () => this.tryToDeleteUsedBlob(),
    'image pulled': () => this.pull(),
    'deleted item requested': () => this.requestDeleted(),
    'tags listed': () => this.listTags(),
    'referrers listed': () => this.listReferrers(),
  };

  constructor(
    private readonly own: OwnRepository,
    /** Has the common blobs, which are never deleted. */
    private readonly commonRepository: string,
    private readonly commonBlobs: readonly SmallBlob[],
  ) {
    this.checks = new ImageChecks(own);
    this.writer = new ImageWriter(own);
  }

  /** Until `isOver`, does all kinds of operations, again and again, each time in another order. */
  async run(isOver: () => boolean): Promise<void> {
    const { random, results } = this.own;
    while (!isOver()) {
      for (const kind of random.shuffled(IMAGE_OPERATIONS)) {
        if (isOver()) return;
        await delay(random.int(PAUSE_MS.least, PAUSE_MS.most));
        if (await this.operations[kind]()) results.countOperation(kind);
      }
    }
  }

  private async pushImage(): Promise<boolean> {
    if (this.isFull) return false;
    const layers = await this.someBlobs(this.own.random.int(1, 3));
    const config = await this.newBlob(this.own.random.int(20, 2_000));
    return this.push(imageManifest(this.newName(), config, layers));
  }

  private async pushIndex(): Promise<boolean> {
    const { model, random } = this.own;
    const images = model.liveManifests().filter(({ children }) => children.length === 0);
    if (this.isFull || images.length === 0) return false;
    return this.push(indexManifest(this.newName(), random.shuffled(images).slice(0, random.int(1, 3))));
  }

  /** Of a live or deleted manifest. */
  private async pushReferrer(): Promise<boolean> {
    const { model, random } = this.own;
    const subjects = [...model.liveManifests(), ...model.deletedManifests()];
    if (this.isFull || subjects.length === 0) return false;
    const config = await this.newBlob(2);
    return this.push(imageManifest(this.newName(), config, [], random.pick(subjects)));
  }

  private async pushAgain(): Promise<boolean> {
    const { model } = this.own;
    const whole = model.deletedManifests().filter(({ digest, blobs, children }) => {
      const live = new Set(model.liveManifests().map((manifest) => manifest.digest));
      return (
        model.mayChange(digest) &&
        blobs.every((blob) => model.hasBlob(blob)) &&
        children.every((child) => live.has(child))
      );
    });
    const manifest = this.any(whole);
    return manifest !== undefined && this.push(manifest);
  }

  private async mount(from: string | undefined): Promise<boolean> {
    const { model, results } = this.own;
    const blob = this.any(this.commonBlobs.filter(({ digest }) => this.isAvailable(digest)));
    if (blob === undefined || model.hasBlob(blob.digest)) return false;
    if (!(await this.writer.mountBlob(blob, from))) results.countOperation('mount became an upload');
    return true;
  }

  private async moveTag(): Promise<boolean> {
    const { model } = this.own;
    const tag = this.any(model.liveTags().filter(([name]) => model.mayChange(name)))?.[0];
    const manifest = this.any(model.liveManifests());
    if (tag === undefined || manifest === undefined) return false;
    return this.writer.pushManifest(manifest, [tag], this.own.random.chance(0.3));
  }

  private async deleteTag(): Promise<boolean> {
    const { model } = this.own;
    const tag = this.any(model.liveTags().filter(([name]) => model.mayChange(name)))?.[0];
    if (tag === undefined) return false;
    await this.writer.deleteTag(tag);
    return true;
  }

  private async deleteManifest(): Promise<boolean> {
    const { model } = this.own;
    const manifest = this.any(
      model.liveManifests().filter((live) => model.mayChange(live.digest) && !model.isChild(live)),
    );
    if (manifest === undefined) return false;
    await this.writer.deleteManifest(manifest);
    return true;
  }

  private async deleteUnusedBlob(): Promise<boolean> {
    const { model } = this.own;
    const blob = this.any(
      model.liveBlobs().filter(({ digest }) => {
        return model.mayChange(digest) && model.manifestsWith(digest).length === 0;
      }),
    );
    if (blob === undefined) return false;
    await this.writer.deleteUnusedBlob(blob);
    return true;
  }

  private async tryToDeleteUsedBlob(): Promise<boolean> {
    const { model } = this.own;
    const blob = this.any(model.liveBlobs().filter(({ digest }) => model.manifestsWith(digest).length > 0));
    if (blob === undefined) return false;
    await this.writer.tryToDeleteUsedBlob(blob);
    return true;
  }

  private async pull(): Promise<boolean> {
    const { model } = this.own;
    const manifest = this.any(model.liveManifests());
    if (manifest === undefined) return false;
    await this.checks.pull(this.any(model.tagsOf(manifest.digest)) ?? manifest.digest, manifest);
    return true;
  }

  private async requestDeleted(): Promise<boolean> {
    const { model } = this.own;
    const path = this.any([
      ...model.deletedTags().map((tag) => `manifests/${tag}`),
      ...model.deletedManifests().map(({ digest }) => `manifests/${digest}`),
      ...model.deletedBlobs().map(({ digest }) => `blobs/${digest}`),
    ]);
    if (path === undefined) return false;
    await this.checks.isNotFound(path);
    return true;
  }

  private async listTags(): Promise<boolean> {
    await this.checks.tagList();
    return true;
  }

  private async listReferrers(): Promise<boolean> {
    const subject = this.any(this.own.model.subjects());
    if (subject === undefined) return false;
    await this.checks.referrers(subject);
    return true;
  }

  /** With no tag, one, or several: existing tags and new ones. */
  private push(manifest: ImageManifest): Promise<boolean> {
    const { model, random } = this.own;
    const known = [...model.liveTags().map(([tag]) => tag), ...model.deletedTags()];
    const tags = random
      .shuffled(known.filter((tag) => model.mayChange(tag)))
      .slice(0, random.int(0, 1))
      .concat(Array.from({ length: random.int(0, 2) }, () => this.newName()));
    return this.writer.pushManifest(manifest, tags, tags.length === 0 || random.chance(0.4));
  }

  private async someBlobs(count: number): Promise<SmallBlob[]> {
    const { model, random } = this.own;
    const blobs: SmallBlob[] = [];
    for (let index = 0; index < count; index += 1) {
      const known = random.chance(0.3) ? this.any(model.liveBlobs()) : undefined;
      blobs.push(known ?? (await this.newBlob(random.logInt(1, LARGEST_BLOB_BYTES))));
    }
    return blobs;
  }

  /** Sometimes one that other clients push at the same time. */
  private async newBlob(sizeBytes: number): Promise<SmallBlob> {
    const { random, name, model } = this.own;
    const shared = smallBlob(`shared/${random.int(1, COMMON_CONTENTS)}`, 4_096);
    const isShared = random.chance(0.3) && this.isAvailable(shared.digest);
    const blob = isShared ? shared : smallBlob(`${name}/${this.newName()}`, sizeBytes);
    // Existing blobs are pushed again, too.
    await this.writer.pushBlob(blob);
    if (!model.hasBlob(blob.digest)) throw new Error(`${name}: ${blob.digest} could not be pushed`);
    return blob;
  }

  /** Whether a blob exists or may be pushed. */
  private isAvailable(digest: string): boolean {
    return this.own.model.hasBlob(digest) || this.own.model.mayChange(digest);
  }

  private get isFull(): boolean {
    return this.own.model.liveManifests().length >= MAX_MANIFESTS;
  }

  private any<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : this.own.random.pick(list);
  }

  private newName(): string {
    this.count += 1;
    return `n${this.count}`;
  }
}
