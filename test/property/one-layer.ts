import { createHash, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import type { Body, Multipart, Part } from '../../src/storage/object-store/object-store.js';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import type { DriverUpload, IoOptions, UploadSink } from '../../src/storage/storage-driver.js';
import { StorageUnavailableError, UploadStateError } from '../../src/storage/storage.errors.js';
import { digest, expectBytes, expectOnlyLeftoversOf, viaJson } from '../contract/storage-driver.harness.js';
import { MemoryBucket, MemoryObjectStore } from '../support/memory-object-store.js';

const PART_BYTES = 1_000;
const MAX_FINISHES = 40;

/** What a store is like, and what goes wrong with it. */
export interface Trouble {
  readonly leavesPartsOut: boolean;
  /** As with a KMS key: two parts of the same bytes have two tags. */
  readonly randomTags: boolean;
}

export interface LayerStep {
  readonly do: 'write' | 'flush' | 'last flush' | 'release' | 'freeze' | 'wake' | 'wake and flush' | 'arrive';
  readonly size: number;
  readonly which: number;
}

export interface LayerPlan {
  readonly size: number;
  readonly steps: readonly LayerStep[];
  /** Per request: it fails before or after its effect, or it times out and arrives later. */
  readonly faults: readonly ('none' | 'before' | 'after' | 'late')[];
  /** Whether requests that timed out arrive before or after the layer is finished. */
  readonly isLateForFinish: boolean;
}

const DOINGS = [
  'write',
  'write',
  'write',
  'flush',
  'last flush',
  'release',
  'freeze',
  'wake',
  'wake and flush',
  'arrive',
] as const;

export const layerPlan: fc.Arbitrary<LayerPlan> = fc.record({
  size: fc.oneof(
    fc.integer({ min: 0, max: 12 }).map((parts) => parts * PART_BYTES),
    fc.integer({ min: 0, max: 12 * PART_BYTES }),
  ),
  steps: fc.array(
    fc.record({
      do: fc.constantFrom(...DOINGS),
      size: fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 3 * PART_BYTES })),
      which: fc.nat(100),
    }),
    { maxLength: 60, size: 'max' },
  ),
  faults: fc.array(fc.constantFrom('none', 'none', 'none', 'none', 'before', 'after', 'late'), {
    maxLength: 60,
    size: 'max',
  }),
  isLateForFinish: fc.boolean(),
});

/** A store whose requests for parts can arrive after their sender timed out. */
class TroubledStore extends MemoryObjectStore {
  readonly onTheirWay: (() => Promise<unknown>)[] = [];
  faults: ('none' | 'before' | 'after' | 'late')[] = [];
  private tags = 0;

  constructor(
    bucket: MemoryBucket,
    private readonly trouble: Trouble,
  ) {
    super(bucket, trouble.leavesPartsOut);
    this.interfere = (_kind, when) => {
      if (when === 'before' && this.faults[0] !== 'after') this.refuse(this.faults.shift() === 'before');
      else if (when === 'after') this.refuse(this.faults[0] === 'after' && this.faults.shift() !== undefined);
    };
  }

  override async putPart(
    multipart: Multipart,
    number: number,
    body: Body,
    options: IoOptions,
  ): Promise<Part> {
    if (this.faults[0] !== 'late') return this.arrived(multipart, number, body, options);
    this.faults.shift();
    const sent = { ...body, bytes: Buffer.from(body.bytes) };
    this.onTheirWay.push(() => this.arrived(multipart, number, sent, {}).catch(() => undefined));
    throw new StorageUnavailableError('timed out');
  }

  private async arrived(multipart: Multipart, number: number, body: Body, options: IoOptions): Promise<Part> {
    const part = await super.putPart(multipart, number, body, options);
    const stored = this.bucket.multiparts.get(multipart.id)?.parts.get(number);
    if (!this.trouble.randomTags || stored === undefined) return part;
    this.tags += 1;
    stored.tag = createHash('md5').update(`${this.tags}`).digest('hex');
    return { number, tag: stored.tag };
  }

  private refuse(isRefused: boolean): void {
    if (isRefused) throw new StorageUnavailableError('a fault of the test');
  }
}

interface Writer {
  readonly sink: UploadSink;
  at: number;
}

/**
 * One client's layer, pushed by one writer after the other: each resumes at the recorded offset, and so sends
 * the same bytes to the same place. Those that were frozen wake whenever they like. In the end the layer is
 * there.
 */
export class OneLayer {
  private readonly bucket = new MemoryBucket();
  private readonly store: TroubledStore;
  private readonly content: Buffer;
  private readonly frozen: Writer[] = [];
  private row: DriverUpload = { id: randomUUID(), state: {} };
  private offset = 0;
  private writer: Writer | undefined;

  constructor(
    private readonly plan: LayerPlan,
    trouble: Trouble,
  ) {
    this.store = new TroubledStore(this.bucket, trouble);
    this.content = Buffer.from(
      Array.from({ length: plan.size }, (_, index) => (index * 7 + (index >> 8)) % 251),
    );
  }

  async play(): Promise<void> {
    this.row = { ...this.row, state: await this.driver().createUpload(this.row.id) };
    this.store.faults = [...this.plan.faults];
    for (const step of this.plan.steps) await this.survive(() => this.step(step));
    while (this.offset < this.content.length) {
      await this.survive(() => this.write(2 * PART_BYTES));
      await this.survive(() => this.flush(this.writer?.at === this.content.length));
    }
    await this.release();
    if (!this.plan.isLateForFinish) await this.arrivals();
    const key = await this.finish();
    this.store.faults = [];
    expectBytes(await buffer(await this.driver().read(key, undefined)), this.content);
    await this.everythingLate();
    expectBytes(await buffer(await this.driver().read(key, undefined)), this.content);
    await this.driver().abortUpload(this.row);
    await expectOnlyLeftoversOf(this.driver(), [this.row.id]);
    expect([...this.bucket.objects.keys()]).toEqual([key]);
    expect(this.bucket.multiparts.size).toBe(0);
  }

  private driver(): ObjectStorageDriver {
    return new ObjectStorageDriver(this.store, { partBytes: PART_BYTES, inlineBytes: 50, redirect: false });
  }

  private async step({ do: what, size, which }: LayerStep): Promise<void> {
    const frozen = this.frozen[which % Math.max(this.frozen.length, 1)];
    if (what === 'write') await this.write(size);
    else if (what === 'flush' || what === 'last flush') await this.flush(what === 'last flush');
    else if (what === 'release') await this.release();
    else if (what === 'freeze') await this.freeze();
    else if (what === 'arrive') await this.store.onTheirWay.shift()?.();
    else if (frozen !== undefined)
      await this.wake(frozen, size, what === 'wake and flush').catch(() => undefined);
  }

  private async write(size: number): Promise<void> {
    this.writer ??= { sink: await this.driver().openUpload(this.row, this.offset), at: this.offset };
    await this.send(this.writer, size);
  }

  private async send(writer: Writer, size: number): Promise<void> {
    const end = Math.min(writer.at + size, this.content.length);
    await writer.sink.write(this.content.subarray(writer.at, end));
    writer.at = end;
  }

  private async flush(isLast: boolean): Promise<void> {
    if (this.writer === undefined) return;
    this.row = { ...this.row, state: viaJson(await this.writer.sink.flush({ isLast })) };
    this.offset = this.writer.at;
    this.writer.sink.recorded?.();
  }

  private async release(): Promise<void> {
    const state = await this.writer?.sink.close();
    this.writer = undefined;
    if (state !== undefined) this.row = { ...this.row, state: viaJson(state) };
  }

  /** Its lease lapses, and the next one has it fenced. */
  private async freeze(): Promise<void> {
    if (this.writer === undefined) return;
    this.frozen.push(this.writer);
    this.writer = undefined;
    this.row = { ...this.row, state: viaJson(await this.driver().fenceUpload(this.row)) };
  }

  private async wake(writer: Writer, size: number, isFlushed: boolean): Promise<void> {
    if (isFlushed) await writer.sink.flush({ isLast: true });
    else await this.send(writer, size);
  }

  private async finish(): ReturnType<ObjectStorageDriver['finishUpload']> {
    const finish = () => this.driver().finishUpload(this.row, digest(this.content), this.content.length);
    for (let attempt = 1; ; attempt += 1) {
      const outcomes = await Promise.allSettled(attempt % 2 === 0 ? [finish()] : [finish(), finish()]);
      const made = outcomes.find((outcome) => outcome.status === 'fulfilled');
      if (made !== undefined) return made.value;
      const failures = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
      );
      // Two at once may spoil each other's last part, and try again.
      const isFinal = failures.length === 1 && failures[0] instanceof UploadStateError;
      if (isFinal || attempt > MAX_FINISHES) throw failures[0];
    }
  }

  /** Requests that were frozen or timed out end now. */
  private async everythingLate(): Promise<void> {
    for (const writer of this.frozen) {
      await this.wake(writer, PART_BYTES, true).catch(() => undefined);
      await writer.sink.close();
    }
    await this.arrivals();
  }

  private async arrivals(): Promise<void> {
    for (const arrive of this.store.onTheirWay.splice(0)) await arrive();
  }

  private async survive(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StorageUnavailableError)) throw error;
      await this.release();
    }
  }
}
