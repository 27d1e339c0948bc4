import { Inject, Injectable, Logger } from '@nestjs/common';
import { BlobPresence } from '../../blobs/blob-presence.js';
import type { BlobRecord } from '../../blobs/blob.store.js';
import { CANONICAL_ALGORITHM, type Digest, digestAlgorithm } from '../../oci/digest.js';
import { BlobUploadInvalidError, BlobUploadUnknownError } from '../../oci/errors.js';
import type { BlobDigest } from '../../oci/tarsum.js';
import { StorageIdentity } from '../../storage-identity/storage-identity.js';
import { canStore } from '../../storage/driver-abilities.js';
import type { ObjectKey } from '../../storage/object-key.js';
import { STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { UploadReapingStore } from '../cleanup/upload-reaping.store.js';
import { UploadReclaimService } from '../cleanup/upload-reclaim.service.js';
import { digestsOf } from '../hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from '../hash/hasher.js';
import type { HeldSession } from '../session/held-session.js';
import type { WholeContent } from '../session/received-body.js';
import type { UploadProgress, UploadSession } from '../session/upload-session.js';
import { UploadTakenOverError } from '../upload.errors.js';
import { WantedDigests } from '../wanted-digests.js';
import { ObjectVerifier, type Verdict } from './object-verifier.js';
import {
  type LeftoverObject,
  type NewContent,
  type NewObject,
  type ReplacedObject,
  UploadCommitStore,
} from './upload-commit.store.js';
import { UploadDigests } from './upload-digests.js';

/** How a session ends. */
interface Ending {
  /** Of the session before: the bytes that a duplicate leaves. */
  readonly progress: UploadProgress;
  readonly content: NewContent;
  /** Makes the object. Idempotent. */
  readonly make: () => Promise<ObjectKey>;
}

/**
 * The end of an upload: `open → committing → committed`. Costs the same for any size, since the driver has
 * the bytes in place. Can be repeated after a crash at any point:
 *
 *     row: committing ──► driver: finish (idempotent) ──► one statement: blob, link, row: committed
 *
 * Content that the driver stores whole is not recorded first, so its session stays open until the blob
 * exists: `open → committed`. The row has its digest since the session was acquired.
 */
@Injectable()
export class UploadCommitService {
  private readonly logger = new Logger(UploadCommitService.name);

  constructor(
    private readonly statements: UploadCommitStore,
    private readonly reaping: UploadReapingStore,
    private readonly reclaims: UploadReclaimService,
    private readonly presence: BlobPresence,
    private readonly identity: StorageIdentity,
    private readonly verifier: ObjectVerifier,
    private readonly verification: UploadDigests,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  /**
   * Commits a held session as `wanted`, and returns the sha256 digest of its bytes.
   *
   * @param digests of the session's bytes, the canonical one among them.
   * @throws DigestInvalidError if the bytes have another digest; UploadTakenOverError if this request was
   *   fenced; BlobUploadUnknownError if the session has become a blob that was deleted since.
   */
  async commit(
    held: HeldSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    wanted: WantedDigests,
  ): Promise<Digest> {
    return held.keepAlive(async () => {
      const verified = await this.verification.verify(held, progress, digests, wanted);
      const { repository } = held.session;
      const canonical = canonicalOf(verified.digests);
      const content = { repository, canonical, digests: verified.digests, sizeBytes: progress.offsetBytes };
      const final = { ...progress, tarsums: verified.tarsums };
      const marked = await this.statements.markCommitting(held.lease, final, {
        digest: wanted.additional ?? canonical,
        canonical,
        leftover: this.leftoverOf(held.session, canonical),
      });
      if (marked === undefined) throw new UploadTakenOverError();
      const make = () => this.finishUpload(held, progress, canonical);
      await held.end(() => this.finish(held, { progress, content, make }, marked.existing));
      return canonical;
    });
  }

  /**
   * Stores the whole content of a held session that has no bytes, and commits it. Returns its sha256 digest.
   * Can be repeated like `commit`, with the same content.
   *
   * @throws UploadTakenOverError, BlobUploadUnknownError: see `commit`.
   */
  async store(held: HeldSession, { bytes, digests }: WholeContent): Promise<Digest> {
    const { driver } = this;
    const { session, intent } = held;
    if (!canStore(driver) || intent === undefined) throw new Error('the session was not acquired to store');
    const { id, repository, driverState: state } = session;
    const content = { repository, canonical: canonicalOf(digests), digests, sizeBytes: bytes.length };
    const make = () => driver.storeUpload({ id, state }, content.canonical, bytes);
    await held.keepAlive(() =>
      held.end(() => this.finish(held, { progress: session, content, make }, intent.existing)),
    );
    return content.canonical;
  }

  /** The object of another digest that an earlier request on the open session may have stored (`store`). */
  private leftoverOf(
    { id, state, driverState, digest }: UploadSession,
    canonical: Digest,
  ): LeftoverObject | undefined {
    if (state !== 'open' || digest === null || digest === canonical) return undefined;
    return { objectKey: this.driver.objectKeyOf({ id, state: driverState }, digest), digest };
  }

  /**
   * Continues a commit that was interrupted. Its digests were verified before; the driver may have finished
   * already.
   *
   * @param wanted by default, what the row names.
   * @throws BlobUploadInvalidError if it is being committed as another digest.
   */
  async resume(held: HeldSession, wanted?: WantedDigests): Promise<Digest> {
    const { session } = held;
    if (session.digest === null) throw new Error('the session has no digest to resume the commit with');
    const digests = [...digestsOf(session.midstates, this.hashers), session.digest];
    const tarsums = (session.tarsums ?? []).map((state) => ('tarsum' in state ? state.tarsum : undefined));
    const known = new Set<BlobDigest | undefined>([...digests, ...tarsums]);
    if (wanted?.all.every((digest) => known.has(digest)) === false)
      throw new BlobUploadInvalidError('the upload is being committed as another digest');
    return this.commit(held, session, digests, new WantedDigests([session.digest]));
  }

  /** Returns the blob that the session became, or undefined if this request was fenced. */
  private async finish(
    held: HeldSession,
    ending: Ending,
    existing: BlobRecord | undefined,
  ): Promise<BlobRecord | undefined> {
    const { progress, content } = ending;
    const verdict =
      existing && (await this.verifier.verify(existing, content.canonical, { signal: held.signal }));
    if (verdict === 'intact' || verdict === 'unverified') {
      // The usual case: most layers are in the registry, and only have to be linked.
      const { isFenced, blob } = await this.statements.commit(held.lease, content);
      if (isFenced) return undefined;
      if (blob !== undefined) {
        if (verdict === 'intact') this.presence.note(content.digests);
        await this.discard(held, progress, held.session.digest);
        return blob;
      }
    }
    const replaces = existing && (await this.replacedBy(content.canonical, existing, verdict));
    await this.identity.verifyStorageIfStale();
    const objectKey = await this.makeObject(held, ending);
    return this.recordObject(held, progress, content, { objectKey, replaces });
  }

  /** A lost or damaged object gives way to the pushed one. Its key stays known (see `DisplacedObjects`). */
  private async replacedBy(
    digest: Digest,
    { objectKey }: BlobRecord,
    verdict: Verdict | undefined,
  ): Promise<ReplacedObject | undefined> {
    if (verdict !== 'missing' && verdict !== 'corrupt') return undefined;
    await this.identity.verify();
    this.logger.error(
      { digest, key: objectKey },
      `the object of a blob is ${verdict}: a push of the same content replaces it`,
    );
    return { objectKey, reason: verdict };
  }

  private async makeObject({ session }: HeldSession, { make }: Ending): Promise<ObjectKey> {
    try {
      return await make();
    } catch (error) {
      // The call may still take effect, after the session was ended and reclaimed.
      await this.reaping.markUnreclaimed(session.id).catch(() => undefined);
      throw error;
    }
  }

  private finishUpload(
    { session: { id } }: HeldSession,
    { driverState: state, offsetBytes }: UploadProgress,
    canonical: Digest,
  ): Promise<ObjectKey> {
    return this.driver.finishUpload({ id, state }, canonical, offsetBytes);
  }

  private async recordObject(
    held: HeldSession,
    progress: UploadProgress,
    content: NewContent,
    object: NewObject,
  ): Promise<BlobRecord | undefined> {
    const { isFenced, blob } = await this.statements.commit(held.lease, content, object);
    if (isFenced) {
      // The session may have been ended and reclaimed before the object existed.
      await this.reaping.markUnreclaimed(held.session.id);
      return undefined;
    }
    // This statement was repeated, and the blob was collected after the first time.
    if (blob === undefined) throw new BlobUploadUnknownError(held.session.id);
    if (blob.objectKey === object.objectKey) this.presence.note(content.digests);
    else await this.discard(held, progress, content.canonical);
    return blob;
  }

  /** Removes the bytes of a duplicate. The push has succeeded: if this fails, the reaper removes them. */
  private async discard(
    { session }: HeldSession,
    progress: UploadProgress,
    digest: Digest | null,
  ): Promise<void> {
    try {
      await this.reclaims.reclaim({ ...progress, id: session.id, digest });
    } catch (error) {
      this.logger.warn({ err: error }, 'could not remove the bytes of a duplicate layer');
    }
  }
}

function canonicalOf(digests: readonly Digest[]): Digest {
  const canonical = digests.find((digest) => digestAlgorithm(digest) === CANONICAL_ALGORITHM);
  if (canonical === undefined) throw new Error(`the session lacks its ${CANONICAL_ALGORITHM} digest`);
  return canonical;
}
