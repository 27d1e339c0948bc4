import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { MIGRATIONS } from '../../src/database/migrations/index.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import type { TestDatabase } from '../support/test-postgres.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const REPLICAS = 2;
const MIB = 1024 * 1024;

describe('Berths with one database and one storage', () => {
  const bench = useProcessBench();
  const database = useTestDatabase();

  it('start together on an empty database and serve the same', async () => {
    const shared = bench.newDataDir();
    const settings = { DATABASE_URL: database.url, STORAGE_FILESYSTEM_ROOT: `${shared}/storage` };
    const berths = Array.from({ length: REPLICAS }, () =>
      bench.start({ ...settings, DATA_DIR: bench.newDataDir() }),
    );
    const [a, b] = (await Promise.all(berths.map((berth) => berth.url()))) as [string, string];
    await expectMigratedOnce(database);

    const client = new RegistryClient(a);
    const image = await client.makeImage('shared');
    expect((await client.putManifest('shared', 'v1', image)).status).toBe(201);
    expect(await (await fetch(`${b}/v2/shared/manifests/v1`)).json()).toEqual(image);

    const whole = patternBytes(2 * MIB);
    const upload = await UploadProbe.begin(a, shared);
    expect(await upload.append(a, 0, whole.subarray(0, MIB))).toBe(202);
    expect(await upload.append(b, MIB, whole.subarray(MIB, MIB + 1000))).toBe(202);
    expect(await upload.finish(a, whole)).toBe(digestOf(whole));
    for (const berth of berths) berth.signal('SIGTERM');
    const ends = await Promise.all(berths.map((berth) => berth.ended()));
    expect(ends.map(({ code }) => code)).toEqual(Array.from(berths, () => 0));
  });
});

async function expectMigratedOnce({ connection }: TestDatabase): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  const { rows } = await client.query('SELECT name FROM migrations');
  await client.end();
  expect(rows).toHaveLength(MIGRATIONS.length);
}
