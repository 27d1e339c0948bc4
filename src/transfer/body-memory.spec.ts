import { describe, expect, it } from '@jest/globals';
import { ContendedError } from '../database/errors/contended.error.js';
import { BodyMemory } from './body-memory.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** A body that keeps its memory until `finish`. */
function holding(memory: BodyMemory, ...pieces: number[]) {
  let finish: () => void = () => undefined;
  const done = memory.run((reserve) => {
    pieces.forEach(reserve);
    return new Promise<void>((resolve) => (finish = resolve));
  });
  const outcome = done.catch((error: unknown) => error);
  return { outcome, finish: () => (finish(), outcome) };
}

describe('BodyMemory', () => {
  it('refuses a body beyond the limit, and accepts it when others have ended', async () => {
    const memory = new BodyMemory();
    const first = holding(memory, 30 * MIB, 30 * MIB);
    const refused = holding(memory, 4 * MIB, 4 * MIB);
    expect(await refused.outcome).toBeInstanceOf(ContendedError);
    const small = holding(memory, 4 * MIB);
    await first.finish();
    const second = holding(memory, 60 * MIB);
    expect(await Promise.all([small.finish(), second.finish()])).toEqual([undefined, undefined]);
  });

  it('releases the memory of failed work', async () => {
    const memory = new BodyMemory();
    const failing = memory.run((reserve) => {
      reserve(64 * MIB);
      return Promise.reject(new Error('no'));
    });
    await expect(failing).rejects.toThrow('no');
    expect(await holding(memory, 64 * MIB).finish()).toBeUndefined();
  });

  it('accepts small bodies beside any number of large ones', async () => {
    const memory = new BodyMemory();
    const large = holding(memory, 64 * MIB + 64 * KIB);
    const small = Array.from({ length: 100 }, () => holding(memory, 32 * KIB, 32 * KIB));
    expect(await holding(memory, 64 * KIB + 1).outcome).toBeInstanceOf(ContendedError);
    const all = [large, ...small];
    expect(await Promise.all(all.map(({ finish }) => finish()))).toEqual(all.map(() => undefined));
  });
});
