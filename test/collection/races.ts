import { type ImageManifest, indexManifest } from '../chaos/image-content.js';
import type { ImagePusher } from './image-pusher.js';
import type { ModelChecks } from './model-checks.js';
import type { ModelRepository, ModelTools } from './model-repository.js';

/** Two requests at once, on two replicas. Either may win; what is there afterwards must fit together. */
export class Races {
  constructor(
    private readonly tools: ModelTools,
    private readonly pusher: ImagePusher,
    private readonly checks: ModelChecks,
  ) {}

  /** Either the manifest lives and has the tag, or both are gone. */
  async tagAndDelete(on: ModelRepository): Promise<boolean> {
    const { state } = on;
    const image = this.any(state.liveImages().filter(({ digest }) => !state.possibleParentOf(digest)));
    if (image === undefined) return false;
    const { digest } = image;
    const tag = on.newName();
    const [put, deleted] = await Promise.all([
      this.pusher.putManifest(on, image, [tag], false),
      this.delete(on, `manifests/${digest}`),
    ]);
    // Without windows, its blobs may be collected at once.
    if (put.status !== 201 && put.status !== 404) this.pusher.unexpected(on, `a PUT of ${digest}`, put);
    if (deleted.status !== 202 && !(deleted.status === 404 && deleted.wasRepeated)) {
      this.pusher.unexpected(on, `the deletion of ${digest}`, deleted);
    }
    const [isLive, hasTag] = [
      await this.checks.exists(on, `manifests/${digest}`),
      await this.checks.exists(on, `manifests/${tag}`),
    ];
    if (isLive !== hasTag) {
      this.tools.requests.wrong(`${on.name}: the tag ${tag} and its manifest ${digest} don't agree`);
    }
    if (put.status === 201 && !isLive) on.pushed(image, [tag]);
    on.deleted('manifest', digest);
    if (isLive) on.pushed(image, [tag]);
    if (put.wasRepeated || deleted.wasRepeated) on.forget(digest);
    return true;
  }

  /** The index is refused, or its child stays. */
  async indexAndDelete(on: ModelRepository): Promise<boolean> {
    const { state } = on;
    const child = this.any(state.liveImages().filter(({ digest }) => !state.possibleParentOf(digest)));
    if (child === undefined) return false;
    const index = indexManifest(on.newName(), [child]);
    const [put, deleted] = await Promise.all([
      this.pusher.putManifest(on, index, [], true),
      this.delete(on, `manifests/${child.digest}`),
    ]);
    if (put.status !== 201 && put.status !== 404) this.pusher.unexpected(on, `a PUT of an index`, put);
    if (deleted.status === 202 || (deleted.status === 404 && deleted.wasRepeated)) {
      if (put.status === 201 && !put.wasRepeated && !deleted.wasRepeated) {
        this.tools.requests.wrong(`${on.name}: ${child.digest} was deleted, and an index of it accepted`);
      }
      on.deleted('manifest', child.digest);
      if (put.wasRepeated || deleted.wasRepeated) on.forget(child.digest);
    } else if (deleted.status !== 405) {
      this.pusher.unexpected(on, `the deletion of ${child.digest}`, deleted);
    }
    if (put.status !== 201) return true;
    on.pushed(index, []);
    await this.checks.pull(on, index.digest);
    return true;
  }

  /** The manifest is refused, or its blob stays. */
  async manifestAndBlob(on: ModelRepository, image: ImageManifest): Promise<boolean> {
    if (!on.isPrivate) return false;
    for (const digest of image.blobs) await this.pusher.provide(on, digest);
    const [put, deleted] = await Promise.all([
      this.pusher.putManifest(on, image, [], true),
      this.delete(on, `blobs/${this.tools.random.pick(image.blobs)}`),
    ]);
    if (put.status !== 201 && put.status !== 404) this.pusher.unexpected(on, `a PUT of ${image.digest}`, put);
    if (![202, 404, 405].includes(deleted.status)) {
      this.pusher.unexpected(on, 'the deletion of a blob', deleted);
    }
    if (put.status !== 201) return true;
    on.pushed(image, []);
    await this.checks.pull(on, image.digest);
    return true;
  }

  /** One of them wins. */
  async restoreAndPurge(on: ModelRepository): Promise<boolean> {
    const known = this.any(on.restorable().filter(({ kind }) => kind === 'manifest'));
    if (!on.isPrivate || known?.reference === undefined) return false;
    const row = await this.tools.deletions.find(known);
    on.forget(known.reference);
    if (row === undefined) return false;
    const [isRestored] = await Promise.all([
      this.tools.deletions.restore(row.id),
      this.tools.deletions.purge(row.id),
    ]);
    if (!isRestored) return true;
    on.restored(known);
    await this.checks.pull(on, known.reference);
    return true;
  }

  private delete({ name }: ModelRepository, path: string) {
    return this.tools.requests.send('DELETE', `/v2/${name}/${path}`);
  }

  private any<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : this.tools.random.pick(list);
  }
}
