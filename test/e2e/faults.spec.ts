import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { withoutDatabase } from '../support/database-outage.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

const MIB = 1024 * 1024;

describe('an outage of the database', () => {
  let berth: RunningBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  it('is a 503, loses nothing that was acknowledged, and ends when the database is back', async () => {
    const blob = randomBytes(3 * MIB);
    const location = await client.startUpload(freshName());
    await client.fetch(location, { method: 'PATCH', body: blob.subarray(0, MIB) });

    await withoutDatabase(berth.databaseUrl, async () => {
      const failed = await client.fetch(location, { method: 'PATCH', body: blob.subarray(MIB, 2 * MIB) });
      expect(failed.status).toBe(503);
      expect(failed.headers.get('retry-after')).toMatch(/^\d+$/);
      const { errors } = (await failed.json()) as {
        errors: { code: string; message: string; detail: object }[];
      };
      expect(errors).toEqual([
        {
          code: 'UNKNOWN',
          message: 'the database is not available',
          detail: { requestId: expect.any(String) },
        },
      ]);
      expect((await client.fetch('/v2/')).status).toBe(200);
    });

    expect((await client.fetch(location)).headers.get('range')).toBe(`0-${MIB - 1}`);
    await client.fetch(location, { method: 'PATCH', body: blob.subarray(MIB) });
    const committed = await client.fetch(`${location}?digest=${digestOf(blob)}`, { method: 'PUT' });
    expect(committed.status).toBe(201);
    const served = await client.fetch(String(committed.headers.get('location')));
    expect(digestOf(new Uint8Array(await served.arrayBuffer()))).toBe(digestOf(blob));
  });
});
