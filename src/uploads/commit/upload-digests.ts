import { Inject, Injectable } from '@nestjs/common';
import type { Digest } from '../../oci/digest.js';
import { DigestInvalidError, digestMismatch } from '../../oci/errors.js';
import { type BlobDigest, isTarsum, tarsumAlgorithm } from '../../oci/tarsum.js';
import { canReadUploads } from '../../storage/driver-abilities.js';
import { STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { HASHER_FACTORY, type HasherFactory } from '../hash/hasher.js';
import { TarsumHasher } from '../hash/tarsum-hasher.js';
import { initialTarsumState, type TarsumState } from '../hash/tarsum-state.js';
import type { HeldSession } from '../session/held-session.js';
import type { UploadProgress } from '../session/upload-session.js';
import { digestLike } from '../session/upload-writer.js';
import { WantedDigests } from '../wanted-digests.js';

/** What is known about all bytes of a session. */
export interface ContentDigests {
  readonly digests: readonly Digest[];
  readonly tarsums: readonly TarsumState[];
}

/** Compares the bytes of a session with the digests that its client names. */
@Injectable()
export class UploadDigests {
  constructor(
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  /**
   * Returns all that is known afterwards.
   *
   * @param digests those that were calculated while the bytes arrived.
   * @throws DigestInvalidError for the first one that does not match.
   */
  async verify(
    held: HeldSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    wanted: WantedDigests,
  ): Promise<ContentDigests> {
    const known = { digests, tarsums: tarsumsOf(progress, wanted) };
    const missing = new WantedDigests(wanted.all.filter((digest) => valueLike(digest, known) === undefined));
    const late = missing.all.length === 0 ? known : await this.readBack(held, progress, missing);
    const content = {
      digests: [...new Set([...digests, ...late.digests])],
      tarsums: [...new Set([...known.tarsums, ...late.tarsums])],
    };
    for (const digest of wanted.all) expectMatch(digest, content, progress);
    return content;
  }

  /**
   * Calculates what was not calculated while the bytes arrived, in one pass. Needed for a digest whose
   * algorithm the client didn't announce when it started (docs/adr/0003), and for a tarsum of a session that
   * was resumed (docs/adr/0040).
   */
  private async readBack(
    { session, signal }: HeldSession,
    progress: UploadProgress,
    missing: WantedDigests,
  ): Promise<ContentDigests> {
    if (!canReadUploads(this.driver)) throw cannotReadBack(missing);
    const hashers = missing.algorithms.map((algorithm) => this.hashers.create(algorithm));
    const tarsums = missing.tarsumAlgorithms.map((algorithm) => new TarsumHasher(algorithm));
    try {
      const upload = { id: session.id, state: progress.driverState };
      const bytes: AsyncIterable<Uint8Array> = await this.driver.readUpload(upload, progress.offsetBytes, {
        signal,
      });
      for await (const chunk of bytes) {
        await Promise.all([...hashers, ...tarsums].map((hasher) => hasher.update(chunk)));
      }
      return {
        digests: hashers.map((hasher) => hasher.digest()),
        tarsums: await Promise.all(tarsums.map((tarsum) => tarsum.state())),
      };
    } catch (error) {
      // The error of an aborted stream has no reason; the signal has it.
      signal.throwIfAborted();
      throw error;
    } finally {
      for (const hasher of hashers) hasher.dispose();
    }
  }
}

/** A driver that can't read uploads has each digest calculated on the way, but a tarsum can't be resumed. */
function cannotReadBack({ tarsums: [tarsum] }: WantedDigests): Error {
  if (tarsum === undefined) return new Error('the session lacks an algorithm');
  return new DigestInvalidError(
    'the tarsum of an upload that was resumed is unknown here: name the sha256 digest alone, or send the ' +
      'layer in one request',
    { detail: { expected: tarsum } },
  );
}

/** Those of all bytes. One of fewer bytes says nothing. */
function tarsumsOf({ tarsums = [], offsetBytes }: UploadProgress, wanted: WantedDigests): TarsumState[] {
  const whole = tarsums.filter(({ lengthBytes }) => lengthBytes === offsetBytes);
  return offsetBytes === 0 ? [...whole, ...wanted.tarsumAlgorithms.map(initialTarsumState)] : whole;
}

/** What the bytes have instead of a wanted digest, if it is known. */
function valueLike(
  wanted: BlobDigest,
  { digests, tarsums }: ContentDigests,
): Digest | TarsumState | undefined {
  if (!isTarsum(wanted)) return digestLike(wanted, digests);
  return tarsums.find(({ algorithm }) => algorithm === tarsumAlgorithm(wanted));
}

function expectMatch(wanted: BlobDigest, content: ContentDigests, { offsetBytes }: UploadProgress): void {
  const value = valueLike(wanted, content);
  if (value === undefined) throw new Error('a digest was not calculated');
  const detail = { expected: wanted, size: offsetBytes };
  if (typeof value !== 'string' && 'refusal' in value) {
    throw new DigestInvalidError(`the upload's ${offsetBytes} bytes have no tarsum: ${value.refusal}`, {
      detail,
    });
  }
  const received = typeof value === 'string' ? value : value.tarsum;
  if (received !== wanted) throw digestMismatch('upload', { ...detail, received });
}
