import { randomBytes } from 'node:crypto';
import { expect } from '@jest/globals';
import { RegistryClient } from './registry-client.js';
import type { OwnBerth } from './running-berth.js';
import { inQuery, tarLayer } from './tar-layer.js';
import { UploadProbe } from './upload-probe.js';

const MIB = 1024 * 1024;
const ANNOUNCED = '?digest-algorithm=tarsum.v1%2Bsha256';

/** Status and digest of a response. */
export const statusAndDigest = (response: Response) => [
  response.status,
  response.headers.get('docker-content-digest'),
];

/** A push and a pull as in 2014: HEAD 404, POST, PATCH, PUT with both digests, HEAD, ranged GET. */
export async function expectPushOf2014(client: RegistryClient, name: string): Promise<void> {
  const { bytes, sha256, v1 } = tarLayer({ body: randomBytes(300_000) });
  const blob = `/v2/${name}/blobs/${v1}`;
  expect((await client.fetch(blob, { method: 'HEAD' })).status).toBe(404);
  const location = await client.startUpload(name, ANNOUNCED);
  expect((await client.patch(location, bytes)).status).toBe(202);
  // A PUT whose response was lost is repeated.
  for (const digests of [[v1, sha256], [v1, sha256], [v1]]) {
    const committed = await client.fetch(`${location}?${inQuery(...digests)}`, { method: 'PUT' });
    expect(statusAndDigest(committed)).toEqual([201, sha256]);
  }
  expect(statusAndDigest(await client.fetch(blob, { method: 'HEAD' }))).toEqual([200, sha256]);
  const ranged = await client.fetch(blob, { headers: { Range: 'bytes=5-9' } });
  expect(statusAndDigest(ranged)).toEqual([206, sha256]);
  expect(Buffer.from(await ranged.arrayBuffer())).toEqual(bytes.subarray(5, 10));
}

/**
 * Kills a registry in the middle of a layer whose tarsum was announced, starts it again, and sends the rest.
 * Returns the path of the session. The registry needs checkpoints after each MiB.
 */
export async function sentAcrossKill(berth: OwnBerth, name: string, bytes: Uint8Array): Promise<string> {
  const upload = await UploadProbe.begin(berth.url, berth.dataDir, name, ANNOUNCED);
  const patch = upload.patch(berth.url);
  await patch.send(bytes.subarray(0, 2 * MIB + 54_321));
  const acknowledged = await upload.durable(berth.url, MIB);
  await berth.kill();
  expect(await patch.status).toBeUndefined();

  await berth.startAgain();
  const offset = await upload.offset(berth.url);
  expect(offset).toBeGreaterThanOrEqual(acknowledged);
  expect(await upload.append(berth.url, offset, bytes.subarray(offset))).toBe(202);
  return upload.location;
}
