import { Inject, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../audit/audit-event.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { IdempotentRequests } from '../idempotency/idempotent-requests.js';
import type { RequestKey } from '../idempotency/request-key.js';
import { hasSeveralRanges, parseByteRanges } from '../oci/byte-range.js';
import type { Digest } from '../oci/digest.js';
import { BlobNeededError, BlobUnknownError, RangeNotSatisfiableError } from '../oci/errors.js';
import type { NameRange } from '../oci/name-range.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { type BlobDigest, isTarsum } from '../oci/tarsum.js';
import { nextTurn } from '../oci/time-slices.js';
import type { ObjectKey } from '../storage/object-key.js';
import { mapBounded } from '../common/map-bounded.js';
import { canOpen, canRedirect } from '../storage/driver-abilities.js';
import {
  type ByteSpan,
  type IoOptions,
  STORAGE_DRIVER,
  type StorageDriver,
} from '../storage/storage-driver.js';
import { StorageError, StorageUnavailableError } from '../storage/storage.errors.js';
import type { BlobContent, RequestedParts } from './blob-content.js';
import { BlobPresence } from './blob-presence.js';
import { type BlobRecord, BlobStore, type LinkedBlob, type Mount } from './blob.store.js';
import { SmallBlobs } from './small-blobs.js';

/** How many repositories a mount without a source looks at. */
const MOUNT_CANDIDATES = 10_000;

/** Blobs of one manifest that are looked up in one query. */
const CHECKED_AT_ONCE = 1_000;

/** Objects of one manifest that are checked concurrently. */
const CONCURRENT_CHECKS = 32;

/** A mount as a client names it. */
export type NamedMount = Omit<Mount, 'digest'> & { readonly digest: BlobDigest };

/** Layers and configs. A blob is visible only through repositories that link it. */
@Injectable()
export class BlobService {
  constructor(
    private readonly blobs: BlobStore,
    private readonly small: SmallBlobs,
    private readonly presence: BlobPresence,
    private readonly unitOfWork: UnitOfWork,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    private readonly requests: IdempotentRequests,
  ) {}

  /**
   * The blob, if its object is in the storage. Costs a lookup in memory if the object was seen within the
   * last minute.
   *
   * A client that finds a blob does not push it, and refers to it later. So the blob stays for at least half
   * of `GC_GRACE_SECONDS`: if the collector might delete its link earlier, the link is renewed, which takes
   * one more statement.
   *
   * @throws BlobUnknownError also if the object is lost; clients then push the content again.
   */
  async stat(repository: RepositoryName, digest: Digest): Promise<LinkedBlob> {
    const found = await this.find(repository, digest);
    const blob = { ...found, ...(await this.expectPresent(found, digest)) };
    if (found.isRenewalDue && !(await this.blobs.renew(this.unitOfWork, repository, digest))) {
      throw new BlobUnknownError(digest);
    }
    return blob;
  }

  /**
   * The digest of the blob that a client names: for a tarsum, that of the blob with this tarsum which the
   * repository has linked longest.
   *
   * @throws BlobUnknownError
   */
  async resolve(repository: RepositoryName, named: BlobDigest): Promise<Digest> {
    if (!isTarsum(named)) return named;
    const digest = await this.blobs.findByTarsum(repository, named);
    if (digest === undefined) throw new BlobUnknownError(named);
    return digest;
  }

  /**
   * When the repository got the blob, in seconds since 1970. Its object may be lost.
   *
   * @throws BlobUnknownError
   */
  async linkedAtSeconds(repository: RepositoryName, digest: Digest): Promise<number> {
    return (await this.find(repository, digest)).linkedAtSeconds;
  }

  /**
   * The bytes of a blob: a redirect if the driver can redirect, else the blob itself, opened.
   *
   * @param range the `Range` header, if it applies. A redirect leaves one range to the storage. Several never
   *   redirect: S3 would return the whole object, others an error.
   * @throws BlobUnknownError, RangeNotSatisfiableError, StorageError
   */
  async content(
    repository: RepositoryName,
    digest: Digest,
    range: string | undefined,
    options: IoOptions,
  ): Promise<BlobContent> {
    const found = await this.find(repository, digest);
    if (canRedirect(this.driver) && !hasSeveralRanges(range)) {
      const { objectKey } = await this.expectPresent(found, digest);
      return { kind: 'redirect', url: await this.driver.redirectUrl(objectKey) };
    }
    // Opening the object shows whether it is in the storage; bytes from memory do not.
    const isInMemory = this.small.has(found);
    const blob = isInMemory ? await this.expectPresent(found, digest) : found;
    const parts = requestedParts(range, { ...found, ...blob });
    const content = await this.open(blob, parts, options).catch(async (error: unknown) =>
      this.open(await this.findAfter(error, repository, digest, blob, options), parts, options),
    );
    if (!isInMemory) this.presence.note([digest]);
    return content;
  }

  /**
   * Returns the blobs of a manifest whose objects are not in the storage. Ignores digests that the repository
   * does not link. Costs nothing for content that was seen within the last minute, else a storage request per
   * object, and a query per thousand.
   */
  async findLost(repository: RepositoryName, digests: readonly Digest[]): Promise<Digest[]> {
    const lost: Digest[] = [];
    for (let at = 0; at < digests.length; at += CHECKED_AT_ONCE) {
      if (at > 0) await nextTurn();
      const some = digests.slice(at, at + CHECKED_AT_ONCE);
      const unseen = some.filter((digest) => !this.presence.isRemembered(digest));
      if (unseen.length === 0) continue;
      const linked = await this.blobs.findAllLinked(repository, unseen);
      const found = await mapBounded([...linked], CONCURRENT_CHECKS, async ([digest, blob]) =>
        (await this.presence.find(blob, digest)) === undefined ? [digest] : [],
      );
      lost.push(...found.flat());
    }
    return lost;
  }

  /**
   * Links a blob of `source` into `target` without copying it (spec.md, "Mounting a blob from another
   * repository"), and returns its digest; undefined if `source` does not have the blob or its object. The
   * caller has checked that the client may pull it. A repeat changes nothing and returns the digest, whatever
   * the source has now.
   */
  async mount({ digest: named, ...mount }: NamedMount): Promise<Digest | undefined> {
    const digest = isTarsum(named) ? await this.blobs.findByTarsum(mount.source, named) : named;
    if (digest === undefined) return undefined;
    return (await this.mountDigest({ ...mount, digest })) ? digest : undefined;
  }

  private async mountDigest(mount: Mount): Promise<boolean> {
    const { source, digest, requestKey } = mount;
    const linked = await this.blobs.findLinked(source, digest);
    if (linked === undefined || (await this.presence.find(linked, digest)) === undefined)
      return this.requests.isRecorded(requestKey);
    return this.blobs.mount(this.unitOfWork, mount);
  }

  /** Finds a repository within `ranges` that has the blob, for a mount that names no source. */
  findMountSource(digest: Digest, ranges: readonly NameRange[]): Promise<RepositoryName | undefined> {
    return this.blobs.repositoryWith(digest, ranges, MOUNT_CANDIDATES);
  }

  /**
   * Removes the blob from the repository. Other repositories keep it. If deleted manifests refer to it, it
   * comes back with them if they are restored. A repeat changes nothing.
   *
   * @throws BlobUnknownError if the repository does not link it; BlobNeededError if a live manifest of the
   *   repository refers to it.
   */
  async delete(
    repository: RepositoryName,
    named: BlobDigest,
    origin: AuditOrigin,
    requestKey: RequestKey | undefined,
  ): Promise<void> {
    const { unitOfWork } = this;
    const digest = isTarsum(named) ? await this.blobs.findByTarsum(repository, named) : named;
    if (digest === undefined) {
      // A repeat, whose first request deleted the blob.
      if (await this.requests.isRecorded(requestKey)) return;
      throw new BlobUnknownError(named);
    }
    const { deleted, neededBy } = await this.blobs.unlink(unitOfWork, repository, digest, origin, requestKey);
    if (neededBy !== undefined) throw new BlobNeededError(neededBy);
    if (!deleted) throw new BlobUnknownError(digest);
  }

  /** Whether the object belongs to a blob, or did: then it is displaced, or the collector deletes it. */
  async usesObject(objectKey: ObjectKey): Promise<boolean> {
    return this.blobs.usesObject(objectKey);
  }

  private async find(repository: RepositoryName, digest: Digest): Promise<LinkedBlob> {
    const blob = await this.blobs.findLinked(repository, digest);
    if (blob === undefined) throw new BlobUnknownError(digest);
    return blob;
  }

  private async expectPresent(blob: BlobRecord, digest: Digest): Promise<BlobRecord> {
    const present = await this.presence.find(blob, digest);
    if (present === undefined) throw new BlobUnknownError(digest);
    return present;
  }

  /**
   * Finds the blob again after its object could not be opened.
   *
   * @throws BlobUnknownError if the object is lost; `failure` if there is no other object to read.
   */
  private async findAfter(
    failure: unknown,
    repository: RepositoryName,
    digest: Digest,
    failed: BlobRecord,
    { signal }: IoOptions,
  ): Promise<BlobRecord> {
    const mayBeLost = failure instanceof StorageError && !(failure instanceof StorageUnavailableError);
    if (!mayBeLost || signal?.aborted === true) throw failure;
    const found = await this.find(repository, digest);
    // After the query: its row is old if another request restored the blob and noted it meanwhile.
    this.presence.forget(digest);
    const blob = await this.expectPresent(found, digest);
    if (blob.objectKey === failed.objectKey) throw failure;
    return blob;
  }

  /** @throws StorageError if the object has another size than its row. */
  private async open(blob: BlobRecord, parts: RequestedParts, options: IoOptions): Promise<BlobContent> {
    const { objectKey, sizeBytes } = blob;
    const bytes = await this.small.get(blob, options);
    if (bytes !== undefined) return { kind: 'bytes', bytes, ...parts };
    if (!canOpen(this.driver)) {
      // A span, also for all bytes: an object that is too short then fails before the response begins.
      const read = (span: ByteSpan) => this.driver.read(objectKey, span, options);
      return { kind: 'stream', stream: await read(parts.spans[0]), read, ...parts };
    }
    const object = await this.driver.openObject(objectKey, options);
    if (object.sizeBytes === sizeBytes) return { kind: 'object', object, ...parts };
    await object.close();
    throw new StorageError(`an object has ${object.sizeBytes} bytes instead of ${sizeBytes}`);
  }
}

function requestedParts(
  range: string | undefined,
  { sizeBytes, linkedAtSeconds }: LinkedBlob,
): RequestedParts {
  const parsed = parseByteRanges(range, sizeBytes);
  if (parsed.kind === 'unsatisfiable') throw new RangeNotSatisfiableError(sizeBytes);
  if (parsed.kind === 'spans') return { sizeBytes, linkedAtSeconds, spans: parsed.spans, isPartial: true };
  return { sizeBytes, linkedAtSeconds, spans: [{ start: 0, end: sizeBytes - 1 }], isPartial: false };
}
