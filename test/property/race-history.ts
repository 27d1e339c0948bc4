import { expect } from '@jest/globals';
import { type Digest, digestAlgorithm, digestOf } from '../../src/oci/digest.js';
import type { UploadReference } from '../../src/uploads/session/upload-session.js';
import { UNKNOWN_ORIGIN } from '../support/upload-claims.js';
import { FedBody } from './fed-body.js';
import type { TestRegistry } from './test-registry.js';
import type { TestReplica } from './replica.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

/** A request that succeeded. */
export type Success =
  | { readonly kind: 'append'; readonly endBytes: number; readonly bytes: Buffer }
  | { readonly kind: 'commit'; readonly digest: Digest }
  | { readonly kind: 'cancel' };

/** What clients may see of one session under concurrent requests. */
export class RaceHistory {
  readonly successes: Success[] = [];
  /** Errors that a client got. */
  readonly failures: unknown[] = [];
  private acknowledged: Buffer = Buffer.of();

  constructor(
    private readonly registry: TestRegistry,
    private readonly reference: UploadReference,
  ) {}

  /** Between two steps: acknowledged bytes are kept, and the hash is that of the bytes. */
  async look(): Promise<void> {
    const row = await this.row();
    if (row === undefined || row.state === 'cancelled' || row.state === 'expired') return;
    expect(row.offsetBytes).toBeGreaterThanOrEqual(this.acknowledged.length);
    // From here on the driver may move its bytes; they are read again as a blob.
    if (row.state !== 'open') return;
    const bytes = await this.registry.bytesOf(row);
    expect(bytes.subarray(0, this.acknowledged.length).equals(this.acknowledged)).toBe(true);
    this.acknowledged = bytes;
  }

  /** Every request has ended. */
  async expectTold(replica: TestReplica): Promise<void> {
    const row = await this.row();
    const state = row?.state ?? 'gone';
    const commits = this.successes.flatMap((success) => (success.kind === 'commit' ? [success.digest] : []));
    const isCancelled = this.successes.some(({ kind }) => kind === 'cancel');
    if (isCancelled) {
      expect(state).toBe('cancelled');
      expect(commits).toEqual([]);
      return;
    }
    if (commits.length > 0) expect(state).toBe('committed');
    if (row?.state === 'open') await this.carryOn(replica);
    if (row?.state === 'committing' && row.digest !== null) {
      await replica.uploads.commit(this.reference, WantedDigests.of(row.digest), undefined, UNKNOWN_ORIGIN);
    }
    const now = await this.row();
    expect(['committed', 'expired']).toContain(now?.state);
    if (now?.state !== 'committed' || now.digest === null) return expect(commits).toEqual([]);
    const content = (await this.registry.pull(now.digest)) ?? Buffer.of();
    expect(digestOf(digestAlgorithm(now.digest), content)).toBe(now.digest);
    expect(content.length).toBe(now.offsetBytes);
    for (const digest of commits) expect(digestOf(digestAlgorithm(digest), content)).toBe(digest);
    this.expectKept(content);
  }

  private expectKept(content: Buffer): void {
    expect(content.subarray(0, this.acknowledged.length).equals(this.acknowledged)).toBe(true);
    for (const success of this.successes) {
      if (success.kind !== 'append') continue;
      const { endBytes, bytes } = success;
      expect(content.subarray(endBytes - bytes.length, endBytes).toString()).toBe(bytes.toString());
    }
  }

  /** Resumes the session and commits it. */
  private async carryOn({ uploads }: TestReplica): Promise<void> {
    const bytes = Buffer.from('what comes after all that');
    const body = (fed: FedBody) => {
      fed.feed(bytes, 'end');
      return fed.as({ start: this.acknowledged.length, end: this.acknowledged.length + bytes.length - 1 });
    };
    await uploads.append(this.reference, body(new FedBody()), UNKNOWN_ORIGIN);
    await this.look();
    await uploads.commit(
      this.reference,
      WantedDigests.of(digestOf('sha256', this.acknowledged)),
      undefined,
      UNKNOWN_ORIGIN,
    );
  }

  private async row() {
    return (await this.registry.sessions()).get(this.reference.id);
  }
}
