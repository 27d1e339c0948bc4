import { Injectable } from '@nestjs/common';
import { BlobService } from '../blobs/blob.service.js';
import { RepositoryStore } from '../blobs/repository.store.js';
import { Configuration } from '../config/configuration.js';
import { DataSource } from 'typeorm';
import { type Transaction, UnitOfWork } from '../database/unit-of-work.js';
import { CANONICAL_ALGORITHM, type Digest, digestAlgorithm, digestInTimeSlices } from '../oci/digest.js';
import {
  DigestInvalidError,
  ManifestBlobUnknownError,
  ManifestUnknownError,
  NameUnknownError,
} from '../oci/errors.js';
import { type ParsedManifest, parseManifest } from '../oci/manifest.js';
import { formatReference, type Reference } from '../oci/reference.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Tag } from '../oci/tag.js';
import { type ManifestHead, ManifestReader, type StoredManifest } from './manifest-reader.js';
import { ManifestStore, type ResolvedReferences } from './manifest.store.js';
import { TagStore } from './tag.store.js';

export interface PushManifest {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** Further tags to set in the same transaction. */
  readonly tags: readonly Tag[];
  /** The request's `Content-Type`. */
  readonly contentType: string | undefined;
  readonly content: Buffer;
  readonly actor: string | null;
}

export interface PushedManifest {
  readonly digest: Digest;
  readonly subject: Digest | undefined;
}

/** Manifests and the tags that point at them. They live in Postgres: a push is one transaction, a pull a query that it shares with others. */
@Injectable()
export class ManifestService {
  constructor(
    private readonly reader: ManifestReader,
    private readonly manifests: ManifestStore,
    private readonly tags: TagStore,
    private readonly repositories: RepositoryStore,
    private readonly blobs: BlobService,
    private readonly unitOfWork: UnitOfWork,
    private readonly dataSource: DataSource,
    private readonly configuration: Configuration,
  ) {}

  /** @throws ManifestUnknownError, or NameUnknownError where the repository doesn't exist; ManifestUnsettledError. */
  async get(repository: RepositoryName, reference: Reference): Promise<StoredManifest> {
    return (await this.reader.get(repository, reference)) ?? this.refuseUnknown(repository, reference);
  }

  /** Like `get`, without the bytes. */
  async head(repository: RepositoryName, reference: Reference): Promise<ManifestHead> {
    return (await this.reader.head(repository, reference)) ?? this.refuseUnknown(repository, reference);
  }

  /**
   * Stores a manifest and points its tags at it, in one transaction.
   *
   * @throws ManifestInvalidError, DigestInvalidError; ManifestBlobUnknownError when what it refers to isn't in the
   * repository (a `subject` need not be, nor need non-distributable layers; sparse manifests where configured).
   */
  async put(push: PushManifest): Promise<PushedManifest> {
    const { repository, reference, content, actor } = push;
    const digest = await verifiedDigest(reference, content);
    const limits = { maxReferences: this.configuration.manifestMaxReferences };
    const manifest = await parseManifest(content, push.contentType, limits);
    const tags = reference.kind === 'tag' ? [reference.tag, ...push.tags] : push.tags;
    if (this.configuration.manifestMissingReferences === 'reject') {
      const digests = manifest.blobs.map((blob) => blob.digest);
      await this.blobs.refuseLost(repository, digests);
    }
    await this.unitOfWork.run(async (transaction) => {
      const repositoryId = await this.repositories.ensure(transaction, repository);
      const resolved = await this.manifests.resolve(transaction, repositoryId, manifest);
      const missing = this.checkMissing(manifest, resolved);
      const id = await this.manifests.upsert(transaction, repositoryId, digest, manifest, content, actor);
      await this.manifests.refer(transaction, id, resolved, missing);
      await this.tags.set(transaction, repositoryId, tags, { id, digest }, actor);
    });
    return { digest, subject: manifest.subject };
  }

  /**
   * Deletes a tag alone, or a manifest by its digest together with its tags.
   *
   * @throws ManifestUnknownError, NameUnknownError
   */
  async delete(repository: RepositoryName, reference: Reference, actor: string | null): Promise<void> {
    const deleted = await this.unitOfWork.run(async (transaction) => {
      const repositoryId = await this.repositories.find(transaction, repository);
      if (repositoryId === undefined) throw new NameUnknownError(repository);
      return reference.kind === 'tag'
        ? this.tags.delete(transaction, repositoryId, reference.tag, actor)
        : this.deleteManifest(transaction, repositoryId, reference.digest, actor);
    });
    if (!deleted) throw new ManifestUnknownError(formatReference(reference));
  }

  private async deleteManifest(
    transaction: Transaction,
    repositoryId: string,
    digest: Digest,
    actor: string | null,
  ): Promise<boolean> {
    const id = await this.manifests.lock(transaction, repositoryId, digest);
    if (id === undefined) return false;
    await this.tags.deleteAll(transaction, repositoryId, { id, digest }, actor);
    await this.manifests.delete(transaction, id, digest);
    return true;
  }

  private checkMissing(manifest: ParsedManifest, { blobIds, childIds }: ResolvedReferences): Digest[] {
    const wanted = [...manifest.blobs, ...manifest.children].map(({ digest }) => digest);
    const missing = [...new Set(wanted)].filter((digest) => !blobIds.has(digest) && !childIds.has(digest));
    if (missing.length > 0 && this.configuration.manifestMissingReferences === 'reject') {
      throw new ManifestBlobUnknownError(missing);
    }
    return missing;
  }

  private async refuseUnknown(repository: RepositoryName, reference: Reference): Promise<never> {
    const known = await this.repositories.find(this.dataSource.manager, repository);
    throw known === undefined
      ? new NameUnknownError(repository)
      : new ManifestUnknownError(formatReference(reference));
  }
}

/** The digest of what was pushed, in the algorithm of the reference. */
async function verifiedDigest(reference: Reference, content: Buffer): Promise<Digest> {
  if (reference.kind === 'tag') return digestInTimeSlices(CANONICAL_ALGORITHM, content);
  const digest = await digestInTimeSlices(digestAlgorithm(reference.digest), content);
  if (digest !== reference.digest) {
    throw new DigestInvalidError(undefined, { detail: { expected: reference.digest, received: digest } });
  }
  return digest;
}
