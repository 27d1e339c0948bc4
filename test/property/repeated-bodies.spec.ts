import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { hurryRetries } from './hurry-retries.js';
import type { TestRegistry as Registry } from './test-registry.js';

hurryRetries();
const { TestRegistry } = await import('./test-registry.js');
const { clientPlan, RepeatingClient } = await import('./repeating-client.js');
const { runs } = await import('./runs.js');
const { MEDIA } = await import('./shared-medium.js');

describe.each(['filesystem', 'memory', 'objects'] as const)(
  'a client that sends bodies again, at any Location that it was given (%s)',
  (kind) => {
    let registry: Registry;

    beforeAll(async () => {
      registry = await TestRegistry.create(MEDIA[kind]);
    });
    afterAll(() => registry.dispose());

    it('loses no acknowledged byte, appends none twice, and stores what it means to', async () => {
      await fc.assert(
        fc.asyncProperty(clientPlan, async (plan) => {
          const client = await RepeatingClient.start(registry, plan);
          try {
            await client.play();
          } finally {
            await client.abandon();
          }
        }),
        { ...runs(8), plugins: [fc.beforeEach(() => registry.clear())] },
      );
    }, 900_000);
  },
);
