import { createHash } from 'node:crypto';

/** The only source of random numbers of a run (mulberry32: small, fast, good enough). */
export class SeededRandom {
  private state: number;

  constructor(private readonly seed: number) {
    this.state = seed >>> 0;
  }

  /** A separate generator for a part of the run. Using it does not change the numbers of other parts. */
  fork(label: string): SeededRandom {
    return new SeededRandom(createHash('sha256').update(`${this.seed}/${label}`).digest().readUInt32BE());
  }

  /** From 0 to 1, exclusive. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer, both ends inclusive. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** An integer whose logarithm is evenly distributed. */
  logInt(from: number, to: number): number {
    return Math.min(to, Math.floor(Math.exp(Math.log(from) + this.next() * Math.log((to + 1) / from))));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.int(0, list.length - 1)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    const result: T[] = [];
    while (rest.length > 0) result.push(...rest.splice(this.int(0, rest.length - 1), 1));
    return result;
  }
}
