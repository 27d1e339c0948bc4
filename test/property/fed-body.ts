import type { UploadBody } from '../../src/transfer/read-body.js';

/** A request body whose chunks the test feeds one by one. */
export class FedBody {
  private readonly queue: (Uint8Array | 'end' | Error)[] = [];
  private wake: () => void = () => undefined;
  private isHungry = false;
  private isAborted = false;
  private readonly watchers = new Set<() => void>();

  feed(...items: (Uint8Array | 'end' | Error)[]): void {
    this.queue.push(...items);
    this.isHungry = false;
    this.wake();
  }

  /** Settles when everything fed was read, or when the reader has ended. */
  async consumed(): Promise<void> {
    while (!(this.isHungry && this.queue.length === 0) && !this.isAborted) {
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }

  as(range: UploadBody['range'], lengthBytes?: number): UploadBody {
    return { source: { [Symbol.asyncIterator]: () => this.iterator() }, range, lengthBytes };
  }

  private iterator(): AsyncIterator<Uint8Array, undefined> {
    return {
      next: async () => {
        while (this.queue.length === 0) {
          this.isHungry = true;
          this.tell();
          await new Promise<void>((resolve) => (this.wake = resolve));
        }
        const item = this.queue.shift();
        if (item instanceof Error) throw item;
        return item === undefined || item === 'end'
          ? { done: true, value: undefined }
          : { done: false, value: item };
      },
      return: () => {
        this.isAborted = true;
        this.tell();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  private tell(): void {
    const watchers = [...this.watchers];
    this.watchers.clear();
    for (const watcher of watchers) watcher();
  }
}
