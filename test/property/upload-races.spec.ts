import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { hurryRetries } from './hurry-retries.js';
import { TestRegistry } from './test-registry.js';
import { playRace, raceOf } from './race-play.js';
import { runs } from './runs.js';
import { MEDIA } from './shared-medium.js';

hurryRetries();

const KINDS = [
  { kind: 'filesystem', numRuns: 6 },
  { kind: 'memory', numRuns: 3 },
  { kind: 'objects', numRuns: 4 },
] as const;

describe.each(KINDS)('an upload session under concurrent requests ($kind)', ({ kind, numRuns }) => {
  let registry: TestRegistry;

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
