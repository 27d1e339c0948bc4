import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { IdempotentRequests } from '../../../src/idempotency/idempotent-requests.js';
import { requestKey } from '../../../src/idempotency/request-key.js';
import { freshName } from '../../support/fresh-name.js';
import { NAME_CHANGES, sendChange } from '../../support/name-changes.js';
import { expectResponse } from '../../support/query-plans/expect-response.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';

const HOUR_SECONDS = 3600;
const BATCH = 1_000;
/** A row of `deletions` has six index entries, an event of the audit log five. */
const ROWS = 6;

export function describeIdempotentRequests(registry: PlannedRegistry): void {
  const requests = () => registry.berth.app.get(IdempotentRequests);

  describe('requests with an Idempotency-Key', () => {
    beforeAll(() =>
      registry.look(
        `INSERT INTO idempotent_requests (key, recorded_at)
         SELECT sha256(n::text::bytea), now() - n * interval '60 ms' FROM generate_series(1, 120000) AS n`,
      ),
    );

    it.each(Object.entries(NAME_CHANGES))('%s, and its repeat', async (_, prepare) => {
      const change = await prepare(registry.client);
      const key = randomUUID();
      for (const _ of ['first', 'repeat'])
        await registry.expectCost(ROWS, () =>
          expectResponse(sendChange(registry.client, change, key), change.status),
        );
    });

    it('one that fails', async () => {
      const change = { method: 'DELETE', path: `/v2/${freshName()}/manifests/none` };
      await registry.expectCost(1, () =>
        expectResponse(sendChange(registry.client, change, randomUUID()), 404),
      );
    });

    it('whether one is recorded', async () => {
      const key = requestKey({
        ...{ caller: null, method: 'PUT', target: '/', contentType: null, idempotencyKey: 'none' },
      });
      await registry.expectCost(1, async () => expect(await requests().isRecorded(key)).toBe(false));
    });

    it('a batch is forgotten', () => registry.expectCost(BATCH, () => requests().prune(HOUR_SECONDS, BATCH)));
  });
}
