import { canOpen, canReadUploads } from '../../../src/storage/driver-abilities.js';
import type { StorageDriver, UploadSink } from '../../../src/storage/storage-driver.js';

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

function uploadId(location: string): string {
  return new URL(location, 'http://berth').pathname.split('/').at(-1) ?? '';
}
