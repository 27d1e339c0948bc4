import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { hurryRetries } from './hurry-retries.js';
import { TestRegistry } from './test-registry.js';
import { sessionCommands } from './session-commands.js';
import { RegistryModel } from './session-model.js';
import { SessionsUnderTest } from './sessions-under-test.js';
import { runs } from './runs.js';
import { MEDIA } from './shared-medium.js';

hurryRetries();

const KINDS = [
  { kind: 'filesystem', numRuns: 12 },
  { kind: 'memory', numRuns: 12 },
  { kind: 'objects', numRuns: 12 },
] as const;

describe.each(KINDS)(
  'an upload session under any sequence of requests and faults ($kind)',
  ({ kind, numRuns }) => {
    let registry: TestRegistry;

    beforeAll(async () => {
      registry = await TestRegistry.create(MEDIA[kind]);
    });
    afterAll(() => registry.dispose());

    it('behaves like its model, and leaves nothing behind', async () => {
      await fc.assert(
        fc.asyncProperty(fc.commands(sessionCommands, { maxCommands: 30, size: 'max' }), async (commands) => {
          const model = new RegistryModel();
          const real = await SessionsUnderTest.start(registry, kind !== 'filesystem');
          try {
            await fc.asyncModelRun(() => ({ model, real }), commands);
            await real.end(model);
          } finally {
            await real.abandon(model);
          }
        }),
        { ...runs(numRuns), plugins: [fc.beforeEach(() => registry.clear())] },
      );
    }, 900_000);
  },
);
