import type { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { ContendedError } from '../database/errors/contended.error.js';
import { violates } from '../database/errors/database-errors.js';
import { type Transaction, UnitOfWork } from '../database/unit-of-work.js';
import type { Digest } from '../oci/digest.js';
import { BlobNeededError, BlobUnknownError, ManifestBlobUnknownError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { ObjectKey } from '../storage/object-key.js';
import { mapBounded } from '../common/map-bounded.js';
import { canOpen, canRedirect, type OpenObject } from '../storage/driver-abilities.js';
import {
  type ByteSpan,
  type IoOptions,
  STORAGE_DRIVER,
  type StorageDriver,
} from '../storage/storage-driver.js';
import { StorageError, StorageUnavailableError } from '../storage/storage.errors.js';
import { BlobPresence } from './blob-presence.js';
import { type BlobRecord, BlobStore, NEEDED_LINK, type Unlinked } from './blob.store.js';
import { RepositoryStore } from '../repositories/repository.store.js';
import { SmallBlobs } from './small-blobs.js';

/** How many repositories a mount without a source looks through for one that its caller may pull from. */
const MOUNT_CANDIDATES = 100;

/** How often a blob is unlinked while manifests come that need it. */
const MAX_UNLINKS = 2;

/** Objects of one manifest that are looked for at the same time. */
const LOOKS_AT_ONCE = 32;

/**
 * Layers and configs: what a repository may serve. A blob is visible only through a repository that links it.
 */
@Injectable()
export class BlobService {
  constructor(
    private readonly blobs: BlobStore,
    private readonly repositories: RepositoryStore,
    private readonly small: SmallBlobs,
    private readonly presence: BlobPresence,
    private readonly unitOfWork: UnitOfWork,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
  ) {}

  /** The blob by its row alone: `expectPresent` says whether its bytes are there. @throws BlobUnknownError */
  async find(repository: RepositoryName, digest: Digest): Promise<BlobRecord> {
    const blob = await this.blobs.findLinked(repository, digest);
    if (blob === undefined) throw new BlobUnknownError(digest);
    return blob;
  }

  /**
   * The blob with an object that is in the storage; costs a lookup in memory where that is known.
   *
   * @throws BlobUnknownError where the object is lost: a client that is told so pushes the content again.
   */
  async expectPresent(blob: BlobRecord, digest: Digest): Promise<BlobRecord> {
    const present = await this.presence.find(blob, digest);
    if (present === undefined) throw new BlobUnknownError(digest);
    return present;
  }

  /**
   * Looks again for a blob that could not be read. Returns it where another object is to be read instead.
   *
   * @throws BlobUnknownError where the object is lost.
   */
  async findAfter(
    failure: unknown,
    repository: RepositoryName,
    digest: Digest,
    failed: BlobRecord,
  ): Promise<BlobRecord | undefined> {
    const mayBeLost = failure instanceof StorageError && !(failure instanceof StorageUnavailableError);
    if (!mayBeLost) return undefined;
    this.presence.forget(digest);
    const blob = await this.expectPresent(await this.find(repository, digest), digest);
    return blob.objectKey === failed.objectKey ? undefined : blob;
  }

  /** The bytes of a blob have been read: its object is there. */
  notePresent(digest: Digest): void {
    this.presence.note([digest]);
  }

  /**
   * Refuses a manifest whose layers or config are blobs of the repository with lost objects. Digests that the
   * repository doesn't link are left to the caller. Costs nothing for content that was seen within the last
   * minute, else a query and a request to the storage for each object.
   *
   * @throws ManifestBlobUnknownError with the lost ones.
   */
  async refuseLost(repository: RepositoryName, digests: readonly Digest[]): Promise<void> {
    const unseen = [...new Set(digests)].filter((digest) => !this.presence.isRemembered(digest));
    if (unseen.length === 0) return;
    const linked = await this.blobs.findAllLinked(repository, unseen);
    const lost = await mapBounded([...linked], LOOKS_AT_ONCE, async ([digest, blob]) =>
      (await this.presence.find(blob, digest)) === undefined ? [digest] : [],
    );
    if (lost.flat().length > 0) throw new ManifestBlobUnknownError(lost.flat());
  }

  /** Whether clients are sent to the storage for the bytes. */
  get redirects(): boolean {
    return canRedirect(this.driver);
  }

  /** Where the client can fetch the bytes by itself, if the driver is able to let it. */
  async redirect(blob: BlobRecord): Promise<URL | undefined> {
    return canRedirect(this.driver) ? this.driver.redirectUrl(blob.objectKey) : undefined;
  }

  /** Whether all bytes are in memory, so that to serve them would not show whether the object is there. */
  isInMemory(blob: BlobRecord): boolean {
    return this.small.has(blob);
  }

  /** All bytes of a blob that is small enough to be remembered. */
  readSmall(blob: BlobRecord, options: IoOptions): Promise<Buffer | undefined> {
    return this.small.get(blob, options);
  }

  /**
   * The bytes of a blob held open, where the driver is able to. @throws StorageError where they aren't all
   * there.
   */
  async open({ objectKey, sizeBytes }: BlobRecord, options: IoOptions): Promise<OpenObject | undefined> {
    if (!canOpen(this.driver)) return undefined;
    const object = await this.driver.openObject(objectKey, options);
    if (object.sizeBytes === sizeBytes) return object;
    await object.close();
    throw new StorageError(`an object has ${object.sizeBytes} bytes instead of ${sizeBytes}`);
  }

  /** Streams the bytes of a blob, or a span of them. */
  read(blob: BlobRecord, span: ByteSpan | undefined, options: IoOptions): Promise<Readable> {
    return this.driver.read(blob.objectKey, span, options);
  }

  /**
   * Links a blob of `source` into `target` without moving a byte (spec.md, "Mounting a blob from another
   * repository"). Returns whether `source` has the blob, bytes included. The caller has made sure that it may
   * be pulled from there.
   */
  async mount(target: RepositoryName, source: RepositoryName, digest: Digest): Promise<boolean> {
    const linked = await this.blobs.findLinked(source, digest);
    if (linked === undefined || (await this.presence.find(linked, digest)) === undefined) return false;
    return this.unitOfWork.run(async (transaction) => {
      const blob = await this.blobs.findForLink(transaction, digest);
      if (blob === undefined) return false;
      await this.link(transaction, target, blob.id);
      return true;
    }, target);
  }

  /** A repository with the blob that `mayPull` lets the caller read, for a mount that names no source. */
  async findMountSource(
    digest: Digest,
    mayPull: (repository: RepositoryName) => Promise<boolean>,
  ): Promise<RepositoryName | undefined> {
    for (const repository of await this.blobs.repositoriesWith(digest, MOUNT_CANDIDATES)) {
      if (await mayPull(repository)) return repository;
    }
    return undefined;
  }

  /**
   * Takes the blob out of the repository. Others that link it keep it.
   *
   * @throws BlobUnknownError unless the repository links it; BlobNeededError where a manifest of the
   * repository refers to it.
   */
  async delete(repository: RepositoryName, digest: Digest): Promise<void> {
    const { deleted, neededBy } = await this.unlink(repository, digest);
    if (neededBy !== undefined) throw new BlobNeededError(neededBy);
    if (!deleted) throw new BlobUnknownError(digest);
  }

  /** Whether an object is a blob's, or was displaced and is known still. */
  async usesObject(objectKey: ObjectKey): Promise<boolean> {
    return this.blobs.usesObject(objectKey);
  }

  /**
   * Once more where a manifest came meanwhile that needs the blob: then it is found.
   *
   * @throws ContendedError where that manifest is gone by then, and another one came.
   */
  private async unlink(repository: RepositoryName, digest: Digest): Promise<Unlinked> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.blobs.unlink(this.unitOfWork, repository, digest);
      } catch (error) {
        if (!violates(error, NEEDED_LINK)) throw error;
        if (attempt === MAX_UNLINKS) throw new ContendedError({ cause: error });
      }
    }
  }

  private async link(transaction: Transaction, repository: RepositoryName, blobId: string): Promise<void> {
    await this.blobs.link(transaction, await this.repositories.ensure(transaction, repository), blobId);
  }
}
