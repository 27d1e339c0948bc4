import { LRUCache } from 'lru-cache';

/** The bounds of an {@link EpochCache}. */
export interface EpochCacheLimits<V> {
  readonly maxEntries: number;
  /** In the unit of `sizeOf`. */
  readonly maxSize: number;
  readonly sizeOf: (value: V, key: string) => number;
}

/**
 * What was read since the last change of rights. The first entry of a new epoch empties it: rights may be
 * large, and of clients that don't come back they would stay in memory.
 */
export class EpochCache<V extends object> {
  private readonly entries: LRUCache<string, V>;
  private epoch = 0;

  constructor({ maxEntries: max, maxSize, sizeOf: sizeCalculation }: EpochCacheLimits<V>) {
    this.entries = new LRUCache<string, V>({ max, maxSize, sizeCalculation });
  }

  get(epoch: number, key: string): V | undefined {
    return epoch === this.epoch ? this.entries.get(key) : undefined;
  }

  /** @param epoch that was known before `value` was read. */
  set(epoch: number, key: string, value: V): void {
    if (epoch < this.epoch) return;
    if (epoch > this.epoch) this.entries.clear();
    this.epoch = epoch;
    this.entries.set(key, value);
  }
}
