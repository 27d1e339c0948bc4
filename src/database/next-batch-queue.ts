import { NoQueryInTimeError } from './errors/no-query-in-time.error.js';

/** How much may wait, and for how long. */
export interface QueueLimits {
  /** Most reads that wait at the same time, and with them most keys. */
  readonly maxWaiting: number;
  /** How long a read waits for its query to begin, in milliseconds; it is told up to a tenth later. */
  readonly waitMs: number;
}

interface Read<Value> {
  readonly arrivedAt: number;
  readonly resolve: (value: Value | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** A key, and who wants to know its value, in the order of their arrival. */
export interface WantedKey<Key, Value> {
  readonly key: Key;
  readonly reads: Read<Value>[];
}

/** The reads of a `NextBatch` whose query has yet to begin, by key, in the order of arrival. */
export class NextBatchQueue<Key, Value> {
  private readonly wanted = new Map<string, WantedKey<Key, Value>>();
  private reads = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly limits: QueueLimits) {}

  get isEmpty(): boolean {
    return this.wanted.size === 0;
  }

  /** Settles as the read's query does. @throws NoQueryInTimeError where none began, and at once where too many wait. */
  add(name: string, key: Key): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      if (this.reads >= this.limits.maxWaiting) throw new NoQueryInTimeError('too many reads wait');
      const read = { arrivedAt: performance.now(), resolve, reject };
      const same = this.wanted.get(name);
      if (same === undefined) this.wanted.set(name, { key, reads: [read] });
      else same.reads.push(read);
      this.reads += 1;
      this.watch();
    });
  }

  /** Takes out the keys that have waited longest, with all of their reads. */
  take(maxKeys: number): WantedKey<Key, Value>[] {
    const taken: WantedKey<Key, Value>[] = [];
    for (const [name, each] of this.wanted) {
      if (taken.length === maxKeys) break;
      this.wanted.delete(name);
      this.reads -= each.reads.length;
      taken.push(each);
    }
    return taken;
  }

  /** One timer for all, which outlives what it was set for: a timer for each read, or batch, would be felt. */
  private watch(): void {
    this.timer ??= setTimeout(this.expire, this.limits.waitMs / 10).unref();
  }

  private readonly expire = () => {
    this.timer = undefined;
    const before = performance.now() - this.limits.waitMs;
    for (const [name, { reads }] of this.wanted) {
      const inTime = reads.findIndex(({ arrivedAt }) => arrivedAt > before);
      const late = reads.splice(0, inTime === -1 ? reads.length : inTime);
      if (reads.length === 0) this.wanted.delete(name);
      this.reads -= late.length;
      for (const { reject } of late) reject(new NoQueryInTimeError('no query began in time'));
    }
    if (!this.isEmpty) this.watch();
  };
}
