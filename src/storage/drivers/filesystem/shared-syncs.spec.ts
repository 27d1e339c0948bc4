import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { shareSyncs } from './shared-syncs.js';

/** Syncs that the test ends. */
function held() {
  const started: { path: string; end: () => void; fail: (error: Error) => void }[] = [];
  const sync = shareSyncs(
    (path) => new Promise((end, fail) => started.push({ path, end: () => end(undefined), fail })),
  );
  return { started, sync };
}

describe('shareSyncs', () => {
  it('shares one sync between all calls during an earlier sync', async () => {
    const { started, sync } = held();
    const first = sync('a');
    const others = [sync('a'), sync('a'), sync('a')];
    expect(started.length).toBe(1);
    started[0]?.end();
    await first;
    await turn();
    expect(started.length).toBe(2);
    started[1]?.end();
    await Promise.all(others);
    void sync('a');
    expect(started.length).toBe(3);
  });

  it('syncs different directories independently', () => {
    const { started, sync } = held();
    void sync('a');
    void sync('b');
    expect(started.map(({ path }) => path)).toEqual(['a', 'b']);
  });

  it('rejects all waiting calls on a failure, and continues', async () => {
    const { started, sync } = held();
    const failing = [sync('a'), sync('a')].map((each) => each.catch((error: unknown) => error));
    const failure = new Error('EIO');
    started[0]?.fail(failure);
    expect(await Promise.all(failing)).toEqual([failure, failure]);
    const next = sync('a');
    expect(started.length).toBe(2);
    started[1]?.end();
    await expect(next).resolves.toBeUndefined();
  });

  it('starts each sync after its call, in any order of events', async () => {
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
