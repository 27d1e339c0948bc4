import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { canOpen, canReadUploads } from '../../../src/storage/driver-abilities.js';
import type { StorageDriver, UploadSink } from '../../../src/storage/storage-driver.js';
import type { TestBerth } from '../../support/test-berth.js';

/** Observes what registries do with their storage. */
export class StorageObserver {
  /** The end of the bytes written last, by upload. */
  private readonly ends = new Map<string, number>();
  private readonly waiting = new Set<() => void>();
  /** How often an upload or an object was read. */
  reads = 0;

  constructor(...drivers: readonly StorageDriver[]) {
    for (const driver of drivers) this.observe(driver);
  }

  private observe(driver: StorageDriver): void {
    const { openUpload, read } = driver;
    driver.openUpload = async (...call) => {
      const [{ id }, offsetBytes] = call;
      return this.observed(id, offsetBytes, await openUpload.apply(driver, call));
    };
    if (canReadUploads(driver)) {
      const { readUpload } = driver;
      driver.readUpload = (...call) => this.counted(() => readUpload.apply(driver, call));
    }
    driver.read = (...call) => this.counted(() => read.apply(driver, call));
    if (canOpen(driver)) {
      const { openObject } = driver;
      driver.openObject = (...call) => this.counted(() => openObject.apply(driver, call));
    }
  }

  /** How many bytes of an upload the drivers have, acknowledged or not. */
  readonly endOf = (location: string): number => this.ends.get(uploadId(location)) ?? 0;

  /** The uploads that bytes were written to. */
  get ids(): readonly string[] {
    return [...this.ends.keys()];
  }

  /** Resolves when the drivers have that many bytes of an upload. */
  async hasWritten(location: string, bytes: number): Promise<void> {
    while (this.endOf(location) < bytes) {
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }

  private observed(id: string, offsetBytes: number, sink: UploadSink): UploadSink {
    let end = offsetBytes;
    return {
      write: async (chunk) => {
        await sink.write(chunk);
        end += chunk.length;
        this.ends.set(id, end);
        for (const wake of this.waiting) wake();
        this.waiting.clear();
      },
      flush: (options) => sink.flush(options),
      ...(sink.recorded && { recorded: () => sink.recorded?.() }),
      ...(sink.flushOffset && { flushOffset: sink.flushOffset.bind(sink) }),
      close: () => sink.close(),
    };
  }

  private counted<T>(read: () => T): T {
    this.reads += 1;
    return read();
  }
}

/** The session's UUID in an upload's location. */
export function uploadId(location: string): string {
  return new URL(location, 'http://berth').pathname.split('/').at(-1) ?? '';
}

/** The file that the `filesystem` driver keeps an upload's bytes in. */
export function uploadFile(berth: TestBerth, location: string): string {
  return join(berth.dataDir, 'storage', 'uploads', uploadId(location));
}

/** The files of uploads in flight on the `filesystem` driver. */
export function uploadFiles(berth: TestBerth): Promise<string[]> {
  return readdir(join(berth.dataDir, 'storage', 'uploads'));
}

/** The files of finished blobs on the `filesystem` driver, by path below `blobs/`. */
export async function blobFiles(berth: TestBerth): Promise<string[]> {
  const root = join(berth.dataDir, 'storage', 'blobs');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

/** Polls until `isRight` accepts the value, for changes that no event announces. Returns the last value. */
export async function eventually<T>(ask: () => Promise<T>, isRight: (value: T) => boolean): Promise<T> {
  const endsAt = Date.now() + 5_000;
  for (;;) {
    const value = await ask();
    if (isRight(value) || Date.now() > endsAt) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
