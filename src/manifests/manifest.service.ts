import { Inject, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../audit/audit-event.js';
import { BlobService } from '../blobs/blob.service.js';
import { RepositoryStore } from '../repositories/repository.store.js';
import { mapBounded } from '../common/map-bounded.js';
import { Configuration } from '../config/configuration.js';
import { DataSource } from 'typeorm';
import { READS } from '../database/connection/connections.js';
import type { Client } from '../events/events.js';
import { IdempotentRequests } from '../idempotency/idempotent-requests.js';
import { type RequestKey, withContent } from '../idempotency/request-key.js';
import type { Descriptor } from '../oci/descriptor.js';
import { CANONICAL_ALGORITHM, type Digest, digestAlgorithm, digestInTimeSlices } from '../oci/digest.js';
import {
  digestMismatch,
  ManifestBlobUnknownError,
  ManifestNeededError,
  ManifestUnknownError,
  NameUnknownError,
} from '../oci/errors.js';
import { type ParsedManifest, parseManifest } from '../oci/manifest.js';
import { formatReference, type Reference } from '../oci/reference.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Tag } from '../oci/tag.js';
import { type ManifestHead, ManifestReader, type StoredManifest } from './manifest.reader.js';
import { ManifestStore } from './manifest.store.js';

export interface PushManifest {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** More tags to set in the same transaction. */
  readonly tags: readonly Tag[];
  /** The request's `Content-Type`. */
  readonly contentType: string | undefined;
  readonly content: Buffer;
  readonly client: Client;
  /** Aborts when the client disconnects. A push that still waits for a connection is then dropped. */
  readonly signal: AbortSignal;
  /** Without the content. */
  readonly requestKey: RequestKey | undefined;
}

export interface PushedManifest {
  readonly digest: Digest;
  readonly manifest: ParsedManifest;
}

/** Children of one index that are looked up concurrently. */
const CONCURRENT_LOOKUPS = 32;

/**
 * Manifests and their tags. They are stored in Postgres: a push is one statement, and concurrent pulls share
 * queries.
 */
@Injectable()
export class ManifestService {
  constructor(
    private readonly reader: ManifestReader,
    private readonly manifests: ManifestStore,
    private readonly repositories: RepositoryStore,
    private readonly blobs: BlobService,
    private readonly requests: IdempotentRequests,
    @Inject(READS) private readonly reads: DataSource,
    private readonly configuration: Configuration,
  ) {}

  /**
   * @throws ManifestUnknownError; NameUnknownError if the repository does not exist; ManifestUnsettledError.
   */
  async get(repository: RepositoryName, reference: Reference): Promise<StoredManifest> {
    return (await this.reader.get(repository, reference)) ?? this.refuseUnknown(repository, reference);
  }

  /** Like `get`, without the bytes. */
  async head(repository: RepositoryName, reference: Reference): Promise<ManifestHead> {
    return (await this.reader.head(repository, reference)) ?? this.refuseUnknown(repository, reference);
  }

  /**
   * Stores a manifest and sets its tags, atomically. A repeat changes nothing, and has the same result.
   *
   * @throws ManifestInvalidError, DigestInvalidError; ManifestBlobUnknownError if the repository lacks
   * content that the manifest refers to. A `subject`, non-distributable layers and, if so configured, any
   * reference may be missing.
   */
  async put(push: PushManifest): Promise<PushedManifest> {
    const { repository, reference, content, client, signal } = push;
    const digest = await verifiedDigest(reference, content);
    const manifest = await parseManifest(content, push.contentType);
    const tags = reference.kind === 'tag' ? [reference.tag, ...push.tags] : push.tags;
    const acceptsMissing = this.configuration.manifestMissingReferences === 'accept';
    const requestKey = push.requestKey && withContent(push.requestKey, digest);
    const lost = acceptsMissing ? [] : await this.findLost(repository, manifest);
    if (lost.length > 0) {
      if (await this.requests.isRecorded(requestKey)) return { digest, manifest };
      throw new ManifestBlobUnknownError(lost);
    }
    const missing = await this.manifests.push({
      repository,
      digest,
      manifest,
      content,
      tags,
      client,
      acceptsMissing,
      signal,
      requestKey,
    });
    if (missing.length > 0 && !acceptsMissing) throw new ManifestBlobUnknownError(missing);
    return { digest, manifest };
  }

  /**
   * Deletes a tag, or a manifest by its digest together with its tags. A repeat changes nothing.
   *
   * @throws ManifestUnknownError, NameUnknownError; ManifestNeededError if a live index lists the manifest.
   */
  async delete(
    repository: RepositoryName,
    reference: Reference,
    client: AuditOrigin,
    requestKey: RequestKey | undefined,
  ): Promise<void> {
    const { deleted, listedBy } =
      reference.kind === 'tag'
        ? await this.manifests.deleteTag(repository, reference.tag, client, requestKey)
        : await this.manifests.delete(repository, reference.digest, client, requestKey);
    if (deleted === undefined) throw new NameUnknownError(repository);
    if (listedBy !== undefined) throw new ManifestNeededError(listedBy);
    if (!deleted) throw new ManifestUnknownError(formatReference(reference));
  }

  /** The content that the manifest refers to whose objects are lost. */
  private async findLost(repository: RepositoryName, manifest: ParsedManifest): Promise<Digest[]> {
    const { blobs, children } = manifest;
    const lost = await this.blobs.findLost(repository, digestsOf(blobs));
    // A child is a blob only if the repository has no manifest of its digest.
    const lostChildren = await mapBounded(
      await this.blobs.findLost(repository, digestsOf(children)),
      CONCURRENT_LOOKUPS,
      async (digest) =>
        (await this.reader.head(repository, { kind: 'digest', digest })) === undefined ? [digest] : [],
    );
    return [...lost, ...lostChildren.flat()];
  }

  private async refuseUnknown(repository: RepositoryName, reference: Reference): Promise<never> {
    const known = await this.repositories.find(this.reads.manager, repository);
    throw known === undefined
      ? new NameUnknownError(repository)
      : new ManifestUnknownError(formatReference(reference));
  }
}

function digestsOf(descriptors: readonly Descriptor[]): Digest[] {
  return descriptors.map(({ digest }) => digest);
}

/** The digest of the content, in the algorithm of the reference. */
async function verifiedDigest(reference: Reference, content: Buffer): Promise<Digest> {
  if (reference.kind === 'tag') return digestInTimeSlices(CANONICAL_ALGORITHM, content);
  const digest = await digestInTimeSlices(digestAlgorithm(reference.digest), content);
  if (digest !== reference.digest) {
    throw digestMismatch('manifest', { expected: reference.digest, received: digest, size: content.length });
  }
  return digest;
}
