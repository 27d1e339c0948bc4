import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { inQuery, tarLayer } from '../support/tar-layer.js';
import { sentAcrossKill, statusAndDigest } from '../support/tarsum-pushes.js';

const MIB = 1024 * 1024;

/** On S3: test/drivers/tarsums.spec.ts. */
let berth: OwnBerth;
beforeAll(async () => void (berth = await OwnBerth.start({ UPLOAD_CHECKPOINT_BYTES: String(MIB) })));
afterAll(() => berth.dispose());

it('after kill -9 in the middle, a tarsum is verified by reading the upload back', async () => {
  const { bytes, sha256, v1 } = tarLayer({ body: randomBytes(3 * MIB) });
  const location = await sentAcrossKill(berth, 'killed', bytes);
  const client = new RegistryClient(berth.url);
  const other = `tarsum.v1+sha256:${'0'.repeat(64)}`;
  expect((await client.fetch(`${location}?${inQuery(other, sha256)}`, { method: 'PUT' })).status).toBe(400);
  const committed = await client.fetch(`${location}?${inQuery(v1, sha256)}`, { method: 'PUT' });
  expect(statusAndDigest(committed)).toEqual([201, sha256]);
  expect((await client.blob('killed', v1)).equals(bytes)).toBe(true);
});
