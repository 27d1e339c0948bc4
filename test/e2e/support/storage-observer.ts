import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StorageDriver, UploadSink } from '../../../src/storage/storage-driver.js';
import type { TestBerth } from '../../support/test-berth.js';

/** Watches what a running registry does with its storage, changing nothing. */
export class StorageObserver {
  /** Bytes written per upload, since the observer began. */
  private readonly written = new Map<string, number>();
  private readonly waiting = new Set<() => void>();
  /** How often bytes of an upload, or of an object, were read. */
  reads = 0;

  constructor(driver: StorageDriver) {
    const { openUpload, readUpload, read } = driver;
    driver.openUpload = async (...call) => this.observed(call[0].id, await openUpload.apply(driver, call));
    if (readUpload !== undefined) {
      driver.readUpload = (...call) => this.counted(() => readUpload.apply(driver, call));
    }
    driver.read = (...call) => this.counted(() => read.apply(driver, call));
  }

  /** Settles when the driver has been given so many bytes of the upload at this location. */
  async hasWritten(location: string, bytes: number): Promise<void> {
    const id = uploadId(location);
    while ((this.written.get(id) ?? 0) < bytes) {
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }

  private observed(id: string, sink: UploadSink): UploadSink {
    return {
      write: async (chunk) => {
        await sink.write(chunk);
        this.written.set(id, (this.written.get(id) ?? 0) + chunk.length);
        for (const wake of this.waiting) wake();
        this.waiting.clear();
      },
      flush: () => sink.flush(),
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

/** Asks again until the answer is right: for what becomes true without any event that a client could see. */
export async function eventually<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  const giveUpAt = Date.now() + 5_000;
  for (;;) {
    const answer = await ask();
    if (isRight(answer) || Date.now() > giveUpAt) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
