import type { ImageManifest } from '../chaos/image-content.js';
import { imageManifest, indexManifest } from '../chaos/image-content.js';
import type { BlobContents } from './blob-contents.js';
import type { ImagePusher } from './image-pusher.js';
import { ModelChecks } from './model-checks.js';
import type { ModelRepository, ModelTools } from './model-repository.js';
import type { KnownDeletion } from './repository-state.js';
import { Races } from './races.js';

/** A repository grows no further. */
const MAX_LIVE = 25;

/** Within this time after a deletion, its restore must succeed. */
const RESTORABLE_SECONDS = 3_600;

/** Operations, with how often they are chosen. */
const OPERATIONS = {
  'image pushed': 10,
  'index pushed': 5,
  'referrer pushed': 4,
  'image pushed with a tag of its subject': 2,
  'deleted manifest pushed again': 4,
  'blobs pushed that nothing needs': 3,
  'tag moved': 4,
  'tag deleted': 3,
  'manifest deleted': 7,
  'child of a live index not deleted': 2,
  'needed blob not deleted': 3,
  'blob deleted': 4,
  'deletion restored': 6,
  'deletion purged': 2,
  'repository deleted': 2,
  'repository restored': 3,
  'image pulled': 6,
  'tag and deletion of a manifest at once': 3,
  'index and deletion of its child at once': 3,
  'manifest and deletion of its blob at once': 3,
  'restore and purge at once': 2,
} as const;
export type ModelOperation = keyof typeof OPERATIONS;
export const MODEL_OPERATIONS = Object.keys(OPERATIONS) as ModelOperation[];
const CHOICES = MODEL_OPERATIONS.flatMap((kind) => Array.from({ length: OPERATIONS[kind] }, () => kind));

/** Changes its repositories at random, and keeps a model of them. */
export class ModelClient {
  private readonly checks: ModelChecks;
  private readonly races: Races;
  private readonly operations: Readonly<Record<ModelOperation, (on: ModelRepository) => Promise<boolean>>> = {
    'image pushed': (on) => this.pushImage(on),
    'index pushed': (on) => this.pushIndex(on),
    'referrer pushed': (on) => this.pushReferrer(on),
    'image pushed with a tag of its subject': (on) => this.pushSignature(on),
    'deleted manifest pushed again': (on) => this.pushAgain(on),
    'blobs pushed that nothing needs': (on) => this.pushBlobs(on),
    'tag moved': (on) => this.moveTag(on),
    'tag deleted': (on) => this.deleteTag(on),
    'manifest deleted': (on) => this.deleteManifest(on),
    'child of a live index not deleted': (on) => this.deleteChild(on),
    'needed blob not deleted': (on) => this.deleteNeededBlob(on),
    'blob deleted': (on) => this.deleteBlob(on),
    'deletion restored': (on) => this.restore(on),
    'deletion purged': (on) => this.purge(on),
    'repository deleted': (on) => this.deleteRepository(on),
    'repository restored': (on) => this.restoreRepository(on),
    'image pulled': (on) => this.pull(on),
    'tag and deletion of a manifest at once': (on) => this.races.tagAndDelete(on),
    'index and deletion of its child at once': (on) => this.races.indexAndDelete(on),
    'manifest and deletion of its blob at once': (on) => this.races.manifestAndBlob(on, this.newImage(on)),
    'restore and purge at once': (on) => this.races.restoreAndPurge(on),
  };

  constructor(
    readonly repositories: readonly ModelRepository[],
    private readonly tools: ModelTools,
    private readonly contents: BlobContents,
    private readonly pusher: ImagePusher,
  ) {
    this.checks = new ModelChecks(tools, contents);
    this.races = new Races(tools, pusher, this.checks);
  }

  /** Works until `isOver`. Calls `onDone` after each operation. */
  async run(isOver: () => boolean, onDone: () => void): Promise<void> {
    const { random, results } = this.tools;
    while (!isOver()) {
      const kind = random.pick(CHOICES);
      if (!(await this.operations[kind](random.pick(this.repositories)))) continue;
      results.countOperation(kind);
      results.progressed();
      onDone();
    }
  }

  private async pushImage(on: ModelRepository): Promise<boolean> {
    if (isFull(on)) return false;
    await this.pusher.push(on, this.newImage(on), this.someTags(on));
    return true;
  }

  private async pushIndex(on: ModelRepository): Promise<boolean> {
    const { random } = this.tools;
    const children = [...on.state.liveImages(), ...on.state.unsureImages()];
    if (isFull(on) || children.length === 0) return false;
    const listed = random.shuffled(children).slice(0, random.int(1, 3));
    await this.pusher.push(on, indexManifest(on.newName(), listed), this.someTags(on));
    return true;
  }

  /** Without a tag, mostly: it follows its subject. */
  private async pushReferrer(on: ModelRepository): Promise<boolean> {
    const { random } = this.tools;
    const subject = this.any([...on.state.liveImages(), ...on.state.goneImages().slice(-3)]);
    if (isFull(on) || subject === undefined) return false;
    await this.pusher.push(on, this.newImage(on, subject), random.chance(0.8) ? [] : this.someTags(on));
    return true;
  }

  private async pushSignature(on: ModelRepository): Promise<boolean> {
    // In a shared repository the tags of another client's manifest would be the same.
    const subject = this.any(on.state.liveImages());
    if (isFull(on) || subject === undefined) return false;
    const tag = subject.digest.replace(':', '-') + this.tools.random.pick(['', '.sig', '.att', '.sbom']);
    await this.pusher.push(on, this.newImage(on), [tag]);
    return true;
  }

  private async pushAgain(on: ModelRepository): Promise<boolean> {
    const image = this.any([...on.state.goneImages(), ...on.state.unsureImages()]);
    const children = image?.children ?? [];
    // The push of a gone child would be another operation.
    if (isFull(on) || image === undefined || !children.every((child) => on.state.isLive(child))) return false;
    await this.pusher.push(on, image, this.tools.random.chance(0.5) ? [] : this.someTags(on));
    return true;
  }

  private async pushBlobs(on: ModelRepository): Promise<boolean> {
    for (const digest of this.newImage(on).blobs) await this.pusher.provide(on, digest);
    return true;
  }

  private async moveTag(on: ModelRepository): Promise<boolean> {
    const { state } = on;
    const tag = this.any([...state.tags.keys()].filter((name) => name.startsWith(on.prefix)));
    const image = this.any(state.liveImages());
    if (tag === undefined || image === undefined) return false;
    await this.pusher.push(on, image, [tag]);
    return true;
  }

  private async deleteTag(on: ModelRepository): Promise<boolean> {
    const tag = this.any([...on.state.tags.keys()]);
    if (tag === undefined) return false;
    const reply = await this.delete(on, `manifests/${tag}`);
    if (!this.isGone(on, `tag ${tag}`, reply)) return false;
    on.deleted('tag', tag);
    await this.checks.isNotFound(on, `manifests/${tag}`);
    return true;
  }

  private async deleteManifest(on: ModelRepository): Promise<boolean> {
    const { state } = on;
    const all = [...state.liveImages(), ...state.unsureImages()];
    const image = this.any(all.filter(({ digest }) => state.liveParentOf(digest) === undefined));
    if (image === undefined) return false;
    const { digest } = image;
    const mayBeRefused = state.possibleParentOf(digest) !== undefined;
    const mayBeGone = state.isUnsure(digest);
    const reply = await this.delete(on, `manifests/${digest}`);
    if (reply.status === 405 && mayBeRefused) return true;
    if (!this.isGone(on, digest, reply, mayBeGone)) return false;
    on.deleted('manifest', digest);
    // It was part of another deletion.
    if (reply.status === 404) on.forget(digest);
    await this.checks.isNotFound(on, `manifests/${digest}`);
    return true;
  }

  private async deleteChild(on: ModelRepository): Promise<boolean> {
    const child = this.any(on.state.liveImages().flatMap(({ children }) => children));
    if (child === undefined) return false;
    const reply = await this.delete(on, `manifests/${child}`);
    if (reply.status !== 405)
      this.pusher.unexpected(on, `the deletion of ${child}, which an index needs,`, reply);
    return true;
  }

  private async deleteNeededBlob(on: ModelRepository): Promise<boolean> {
    const digest = this.any(on.state.liveImages().flatMap(({ blobs }) => blobs));
    if (digest === undefined) return false;
    const reply = await this.delete(on, `blobs/${digest}`);
    if (reply.status !== 405)
      this.pusher.unexpected(on, `the deletion of ${digest}, which is needed,`, reply);
    return true;
  }

  /** One that only deleted manifests need is hidden. */
  private async deleteBlob(on: ModelRepository): Promise<boolean> {
    if (!on.isPrivate) return false;
    const needed = new Set(
      [...on.state.liveImages(), ...on.state.unsureImages()].flatMap(({ blobs }) => blobs),
    );
    const all = on.state.goneImages().flatMap(({ blobs }) => blobs);
    const digest = this.any(all.filter((blob) => !needed.has(blob)));
    if (digest === undefined) return false;
    const reply = await this.delete(on, `blobs/${digest}`);
    // It may have been collected, or be hidden.
    if (reply.status !== 202 && reply.status !== 404) {
      this.pusher.unexpected(on, `the deletion of ${digest}, which nothing needs,`, reply);
    }
    await this.checks.isNotFound(on, `blobs/${digest}`);
    return true;
  }

  private async restore(on: ModelRepository): Promise<boolean> {
    const known = this.any(on.restorable());
    if (known === undefined) return false;
    const row = await this.tools.deletions.find(known);
    on.dropKnown(known);
    if (row === undefined || !(await this.tools.deletions.restore(row.id)))
      return this.notRestored(on, known);
    on.restored(known);
    if (known.kind === 'manifest') await this.checks.pull(on, known.reference ?? '');
    return true;
  }

  /** Right if the window has ended. */
  private notRestored(on: ModelRepository, known: KnownDeletion): false {
    on.dropKnown(known);
    if (this.tools.windows().undelete >= RESTORABLE_SECONDS) {
      this.tools.requests.wrong(
        `${on.name}: the deletion of ${known.reference ?? 'it'} could not be restored`,
      );
    }
    return false;
  }

  private async purge(on: ModelRepository): Promise<boolean> {
    const known = this.any(on.deletions);
    // In a shared repository it would end the grace of blobs that another client has just found.
    if (!on.isPrivate || known === undefined) return false;
    on.dropKnown(known);
    const row = await this.tools.deletions.find(known);
    return row !== undefined && this.tools.deletions.purge(row.id);
  }

  private async deleteRepository(on: ModelRepository): Promise<boolean> {
    const { deletions } = this.tools;
    if (!on.isPrivate || on.state.liveImages().length === 0) return false;
    const reply = await deletions.deleteRepository(on.name);
    if (!this.isGone(on, 'the repository', reply)) return false;
    const state = on.state.copy();
    on.state.clear();
    on.deletions = [
      { kind: 'repository', repository: on.name, reference: undefined, tags: new Map(), state },
    ];
    for (const { digest } of state.liveImages().slice(0, 3)) {
      await this.checks.isNotFound(on, `manifests/${digest}`);
    }
    if (this.tools.random.chance(0.6) && (await this.restoreRepository(on))) {
      this.tools.results.countOperation('repository restored');
    }
    return true;
  }

  /** Under its own name, if nothing was pushed to it meanwhile. */
  private async restoreRepository(on: ModelRepository): Promise<boolean> {
    const known = on.deletions.find(({ kind }) => kind === 'repository');
    if (known?.state === undefined) return false;
    const row = await this.tools.deletions.find(known);
    if (row === undefined) return false;
    const isTaken = (await this.tools.requests.send('GET', `/v2/${on.name}/tags/list`)).status === 200;
    if (isTaken) {
      if (await this.tools.deletions.restore(row.id)) {
        this.tools.requests.wrong(`${on.name} was restored under a name that is taken`);
      }
      return false;
    }
    if (!(await this.tools.deletions.restore(row.id))) return this.notRestored(on, known);
    on.deletions = [];
    on.state.become(known.state);
    for (const { digest } of on.state.liveImages().slice(0, 3)) await this.checks.pull(on, digest);
    return true;
  }

  private async pull(on: ModelRepository): Promise<boolean> {
    const image = this.any(on.state.liveImages());
    if (image === undefined) return false;
    await this.checks.pull(on, this.any(on.state.tagsOf(image.digest)) ?? image.digest, image);
    return true;
  }

  /** Of contents that other repositories have, and of its own. */
  private newImage(on: ModelRepository, subject?: ImageManifest): ImageManifest {
    const { random } = this.tools;
    const blob = () => {
      const isShared = random.chance(0.6);
      return isShared
        ? this.contents.shared(random)
        : this.contents.own(`${on.name}/${on.newName()}`, random);
    };
    const layers = new Map(
      Array.from({ length: random.int(1, 3) }, blob).map((layer) => [layer.digest, layer]),
    );
    const config = this.contents.own(`${on.name}/${on.newName()}`, random);
    return imageManifest(`${on.name}/${on.newName()}`, config, [...layers.values()], subject);
  }

  private someTags(on: ModelRepository): string[] {
    return Array.from({ length: this.tools.random.int(0, 2) }, () => on.newName());
  }

  private delete(on: ModelRepository, path: string) {
    return this.tools.requests.send('DELETE', `/v2/${on.name}/${path}`);
  }

  /** 404 is right if an earlier attempt may have deleted it. */
  private isGone(
    on: ModelRepository,
    what: string,
    reply: Awaited<ReturnType<ModelClient['delete']>>,
    mayBeGone = false,
  ): boolean {
    const { status, wasRepeated } = reply;
    if (status === 202 || status === 204 || status === 200) return true;
    if (status === 404 && (wasRepeated || mayBeGone)) return true;
    if (status === 404) this.tools.results.lost(`${on.name} ${what}`, this.tools.requests);
    else this.pusher.unexpected(on, `the deletion of ${what}`, reply);
    return false;
  }

  private any<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : this.tools.random.pick(list);
  }
}

function isFull({ state }: ModelRepository): boolean {
  return state.liveImages().length >= MAX_LIVE;
}
