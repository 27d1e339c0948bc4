import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { hurryRetries } from './hurry-retries.js';
import type { TestRegistry as Registry } from './test-registry.js';

hurryRetries();
const { TestRegistry } = await import('./test-registry.js');
const { playRace, raceOf } = await import('./race-play.js');
const { runs } = await import('./runs.js');
const { MEDIA } = await import('./shared-medium.js');

const KINDS = [
  { kind: 'filesystem', numRuns: 6 },
  { kind: 'memory', numRuns: 6 },
  { kind: 'objects', numRuns: 6 },
] as const;

describe.each(KINDS)('an upload session under concurrent requests ($kind)', ({ kind, numRuns }) => {
  let registry: Registry;

  beforeAll(async () => {
    registry = await TestRegistry.create(MEDIA[kind]);
  });
  afterAll(() => registry.dispose());

  it.each([
    { faults: 'no process fails', isFaulty: false },
    { faults: 'leases lapse and processes are cut off', isFaulty: true },
  ])(
    'keeps its promises for any order of their calls, if $faults',
    async ({ isFaulty }) => {
      await fc.assert(
        fc.asyncProperty(raceOf(isFaulty), fc.scheduler(), async (plan, scheduler) => {
          await playRace(registry, plan, scheduler, isFaulty);
        }),
        { ...runs(numRuns), plugins: [fc.beforeEach(() => registry.clear())] },
      );
    },
    900_000,
  );
});
