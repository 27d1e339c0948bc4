import { randomBytes } from 'node:crypto';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import type {
  DriverUpload,
  StorageDriver,
  StoredUpload,
  UploadSink,
} from '../../src/storage/storage-driver.js';
import { ObjectNotFoundError } from '../../src/storage/storage.errors.js';
import {
  begin,
  digest,
  expectBytes,
  expectFlushed,
  listedUploads,
  readAll,
  type StorageDriverHarness,
  viaJson,
} from './storage-driver.harness.js';

/**
 * How often each step is taken, relative to the others: often enough that takeovers find bytes, and bytes
 * follow them.
 */
const WEIGHTS = {
  write: 4,
  record: 4,
  release: 1,
  crash: 1,
  'take over': 3,
  'fence in vain': 1,
  'zombie write': 2,
  'zombie flush': 1,
  'zombie open': 2,
};

interface Step {
  readonly do: keyof typeof WEIGHTS;
  /** Of what is written. */
  readonly size: number;
  /** Of the writers that were shut out. */
  readonly which: number;
}

/** What may happen to an upload, to the writers that had it and to those that still think so. */
export const takeoverSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    do: fc.oneof(
      ...(Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]).map((step) => ({
        weight: WEIGHTS[step],
        arbitrary: fc.constant(step),
      })),
    ),
    size: fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 20_000 })),
    which: fc.nat(),
  }),
  { maxLength: 30, size: 'max' },
);

/**
 * Does the steps against a model: the bytes that were recorded. Looks after each of them, and long after the
 * finish.
 */
export async function playTakeovers(
  driver: StorageDriver,
  harness: StorageDriverHarness,
  steps: readonly Step[],
): Promise<void> {
  const play = new Takeovers(harness, driver, await begin(driver));
  for (const step of steps) {
    await play.step(step);
    await play.expectRecorded();
  }
  await play.end();
}

class Takeovers {
  private recorded = Buffer.of();
  private pending = Buffer.of();
  private sink: UploadSink | undefined;
  /** Sinks of writers that were shut out, or whose fence was never recorded. */
  private readonly zombies: UploadSink[] = [];
  /** What those knew that were shut out before they opened anything. */
  private readonly fencedStates: { upload: DriverUpload; offset: number }[] = [];

  constructor(
    private readonly harness: StorageDriverHarness,
    private driver: StorageDriver,
    private upload: DriverUpload,
  ) {}

  async step(step: Step): Promise<void> {
    const zombie = this.zombies[step.which % Math.max(this.zombies.length, 1)];
    switch (step.do) {
      case 'write':
        return this.write(randomBytes(step.size));
      case 'record':
        return this.record();
      case 'release':
        return this.release();
      case 'crash':
        await this.release();
        this.driver = await this.harness.reopen();
        return;
      case 'take over':
        return this.takeOver();
      case 'fence in vain':
        return this.fenceInVain();
      case 'zombie write':
        return tolerate(zombie?.write(randomBytes(step.size)));
      case 'zombie flush':
        return tolerate(zombie?.flush());
      case 'zombie open':
        return this.openLate(step.which);
    }
  }

  async expectRecorded(): Promise<void> {
    const { upload, recorded } = this;
    await expectFlushed(this.driver, upload, recorded);
  }

  async end(): Promise<void> {
    const { upload, recorded } = this;
    await this.release();
    const finish = () => this.driver.finishUpload(upload, digest(recorded), recorded.length);
    const key = await finish();
    for (let which = 0; which < this.fencedStates.length; which += 1) await this.openLate(which);
    for (const zombie of this.zombies) await tolerate(zombie.write(randomBytes(30_000)));
    for (const zombie of this.zombies) await tolerate(zombie.flush());
    expectBytes(await readAll(this.driver, key), recorded);
    expect(await finish()).toBe(key);
    for (const zombie of this.zombies) await zombie.close();
    await this.driver.abortUpload(upload);
    for (const stored of await this.leftovers()) await this.driver.abortUpload(stored.upload);
    expect(await this.leftovers()).toEqual([]);
    expectBytes(await readAll(this.driver, key), recorded);
    await this.driver.delete(key);
    await expect(this.driver.stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
  }

  /**
   * Of this upload: what a failed play left behind must not fail the smaller ones that are tried after it.
   */
  private async leftovers(): Promise<StoredUpload[]> {
    return (await listedUploads(this.driver)).filter(({ upload: { id } }) => id === this.upload.id);
  }

  private async write(chunk: Buffer): Promise<void> {
    this.sink ??= await this.driver.openUpload(this.upload, this.recorded.length);
    await this.sink.write(chunk);
    this.pending = Buffer.concat([this.pending, chunk]);
  }

  private async record(): Promise<void> {
    if (this.sink === undefined) return;
    this.upload = { ...this.upload, state: viaJson(await this.sink.flush()) };
    this.recorded = Buffer.concat([this.recorded, this.pending]);
    this.pending = Buffer.of();
    this.sink.recorded?.();
  }

  private async release(): Promise<void> {
    await this.sink?.close();
    this.sink = undefined;
    this.pending = Buffer.of();
  }

  private async takeOver(): Promise<void> {
    this.fencedStates.push({ upload: this.upload, offset: this.recorded.length });
    if (this.sink !== undefined) this.zombies.push(this.sink);
    this.sink = undefined;
    this.pending = Buffer.of();
    this.upload = { ...this.upload, state: viaJson(await this.driver.fenceUpload(this.upload)) };
  }

  /** Its result is not recorded, and the caller does not know that. */
  private async fenceInVain(): Promise<void> {
    const state = await this.driver.fenceUpload(this.upload);
    this.fencedStates.push({ upload: { ...this.upload, state }, offset: this.recorded.length });
  }

  private async openLate(which: number): Promise<void> {
    const fenced = this.fencedStates[which % Math.max(this.fencedStates.length, 1)];
    if (fenced === undefined) return;
    const opening = this.driver.openUpload(fenced.upload, fenced.offset);
    await tolerate(opening.then((sink) => this.zombies.push(sink)));
  }
}

/** A writer that was shut out may succeed or fail. */
async function tolerate(work: Promise<unknown> | undefined): Promise<void> {
  await work?.catch(() => undefined);
}
