import { createHash } from 'node:crypto';

/** The one source of chance of a run (mulberry32: small, fast, good enough to choose by). */
export class SeededRandom {
  private state: number;

  constructor(private readonly seed: number) {
    this.state = seed >>> 0;
  }

  /**
   * A generator of its own for a part of the run: what it draws changes nothing elsewhere, whatever the
   * order.
   */
  fork(label: string): SeededRandom {
    return new SeededRandom(createHash('sha256').update(`${this.seed}/${label}`).digest().readUInt32BE());
  }

  /** From 0 up to but not including 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** As many small ones as large ones: the logarithm is what is evenly spread. */
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
