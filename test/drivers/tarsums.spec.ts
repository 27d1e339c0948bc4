import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { RegistryClient, specErrors } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { describeOn, describeOnObjectStores } from '../support/storages.js';
import { inQuery, tarLayer } from '../support/tar-layer.js';
import { expectPushOf2014, sentAcrossKill, statusAndDigest } from '../support/tarsum-pushes.js';
import { startTestBerth } from '../support/test-berth.js';

const MIB = 1024 * 1024;

describeOnObjectStores('tarsums', ({ environment }) => {
  it('are verified like in 2014', async () => {
    const berth = await startTestBerth(environment);
    try {
      await expectPushOf2014(new RegistryClient(berth.url), 'tarsums');
    } finally {
      await berth.dispose();
    }
  });
});

/** On the file system: test/process/killed-tarsum.spec.ts. */
describeOn('s3', 'tarsums after kill -9', ({ environment }) => {
  it('are unknown if it was in the middle, and the session keeps its bytes', async () => {
    const settings = { UPLOAD_CHECKPOINT_BYTES: String(MIB), UPLOAD_LEASE_SECONDS: '2' };
    const berth = await OwnBerth.start({ ...environment, ...settings });
    try {
      const { bytes, sha256, v1 } = tarLayer({ body: randomBytes(3 * MIB) });
      const location = await sentAcrossKill(berth, 'killed', bytes);
      const client = new RegistryClient(berth.url);
      const put = (...digests: string[]) =>
        client.fetch(`${location}?${inQuery(...digests)}`, { method: 'PUT' });
      const refused = await put(v1, sha256);
      expect(refused.status).toBe(400);
      expect(await specErrors(refused)).toEqual([
        {
          code: 'DIGEST_INVALID',
          message: expect.stringMatching(/name the sha256 digest alone, or send the layer in one request/),
          detail: { expected: v1 },
        },
      ]);
      expect(statusAndDigest(await put(sha256))).toEqual([201, sha256]);
      expect((await client.blob('killed', sha256)).equals(bytes)).toBe(true);
    } finally {
      await berth.dispose();
    }
  });
});
