import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GcsComposition, MAX_SOURCES } from './gcs-composition.js';

/** Keeps the list of parts of each object. */
class Composed {
  readonly objects = new Map<string, string[]>();
  readonly requests: number[] = [];

  constructor(parts: readonly string[]) {
    for (const part of parts) this.objects.set(part, [part]);
  }

  newName(): string {
    return `intermediate ${this.objects.size} ${this.requests.length}`;
  }

  async compose(sources: readonly string[], target: string): Promise<void> {
    this.requests.push(sources.length);
    const contents = sources.flatMap((source) => this.objects.get(source) ?? ['missing']);
    this.objects.set(target, contents);
    await Promise.resolve();
  }
}

function partsOf(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `part ${at}`);
}

describe('a composition', () => {
  it('has all parts in order, and requests within the limits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5000 }), async (count) => {
        const parts = partsOf(count);
        const composed = new Composed(parts);
        const last = await new GcsComposition(composed).reduce(parts);
        expect(last.length).toBeLessThanOrEqual(MAX_SOURCES);
        // Texts: to compare 5,000 elements takes Jest many times as long.
        const contents = last.flatMap((name) => composed.objects.get(name));
        expect(contents.join()).toBe(parts.join());
        expect(composed.requests.every((sources) => sources > 1 && sources <= MAX_SOURCES)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    [1, 0],
    [32, 0],
    [33, 1],
    [64, 2],
    [1024, 32],
    [1025, 33],
    [10_000, 323],
  ])('of %d parts needs %d intermediate objects', async (count, between) => {
    const parts = partsOf(count);
    const composition = new GcsComposition(new Composed(parts));
    await composition.reduce(parts);
    expect(new Set(composition.intermediates).size).toBe(between);
  });

  it('rejects when the running requests have settled, and lists all intermediate objects', async () => {
    const parts = partsOf(100);
    const second = new Error('gone');
    let release: () => void = () => undefined;
    const first = new Promise<void>((resolve) => (release = resolve));
    let names = 0;
    const composition = new GcsComposition({
      newName: () => `intermediate ${(names += 1)}`,
      compose: async (sources) => {
        if (sources.includes('part 0')) await first;
        else throw second;
      },
    });
    let settled = false;
    const reducing = composition.reduce(parts).finally(() => (settled = true));
    reducing.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    release();
    await expect(reducing).rejects.toBe(second);
    expect(composition.intermediates).toHaveLength(4);
  });
});
