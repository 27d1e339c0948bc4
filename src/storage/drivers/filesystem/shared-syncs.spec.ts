import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { shareSyncs } from './shared-syncs.js';

/** Syncs that end when the test says so. */
function held() {
  const begun: { path: string; end: () => void; fail: (error: Error) => void }[] = [];
  const sync = shareSyncs(
    (path) => new Promise((end, fail) => begun.push({ path, end: () => end(undefined), fail })),
  );
  return { begun, sync };
}

describe('shareSyncs', () => {
  it('syncs once for all who ask meanwhile, after the one that had begun before', async () => {
    const { begun, sync } = held();
    const first = sync('a');
    const others = [sync('a'), sync('a'), sync('a')];
    expect(begun.length).toBe(1);
    begun[0]?.end();
    await first;
    await turn();
    expect(begun.length).toBe(2);
    begun[1]?.end();
    await Promise.all(others);
    void sync('a');
    expect(begun.length).toBe(3);
  });

  it('keeps directories apart', () => {
    const { begun, sync } = held();
    void sync('a');
    void sync('b');
    expect(begun.map(({ path }) => path)).toEqual(['a', 'b']);
  });

  it('tells those of a failure who waited, too, and goes on', async () => {
    const { begun, sync } = held();
    const failing = [sync('a'), sync('a')].map((each) => each.catch((error: unknown) => error));
    const failure = new Error('EIO');
    begun[0]?.fail(failure);
    expect(await Promise.all(failing)).toEqual([failure, failure]);
    const next = sync('a');
    expect(begun.length).toBe(2);
    begun[1]?.end();
    await expect(next).resolves.toBeUndefined();
  });

  it('has each sync begin after it was asked for, whatever the order of events', async () => {
    const steps = fc.array(fc.constantFrom('ask', 'turn'), { maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        let written = 0;
        let durable = 0;
        const sync = shareSyncs(async () => {
          const seen = written;
          await turn();
          durable = seen;
        });
        const asked: Promise<void>[] = [];
        for (const step of plan) {
          if (step === 'turn') await turn();
          else {
            written += 1;
            const mine = written;
            asked.push(sync('a').then(() => expect(durable).toBeGreaterThanOrEqual(mine)));
          }
        }
        await Promise.all(asked);
      }),
    );
  });
});
