import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { hurryRetries } from './hurry-retries.js';
import { TestRegistry } from './test-registry.js';
import { clientPlan, RepeatingClient } from './repeating-client.js';
import { runs } from './runs.js';
import { MEDIA } from './shared-medium.js';

hurryRetries();

describe.each(['filesystem', 'memory', 'objects'] as const)(
  'a client that sends bodies again, at any Location that it was given (%s)',
  (kind) => {
    let registry: TestRegistry;

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
