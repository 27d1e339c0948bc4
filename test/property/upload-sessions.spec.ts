import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { hurryRetries } from './hurry-retries.js';
import type { TestRegistry as Registry } from './test-registry.js';

hurryRetries();
const { TestRegistry } = await import('./test-registry.js');
const { sessionCommands } = await import('./session-commands.js');
const { RegistryModel } = await import('./session-model.js');
const { SessionsUnderTest } = await import('./sessions-under-test.js');
const { runs } = await import('./runs.js');
const { MEDIA } = await import('./shared-medium.js');

const KINDS = [
  { kind: 'filesystem', numRuns: 12 },
  { kind: 'memory', numRuns: 12 },
  { kind: 'objects', numRuns: 12 },
] as const;

describe.each(KINDS)(
  'an upload session under any sequence of requests and faults ($kind)',
  ({ kind, numRuns }) => {
    let registry: Registry;

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
