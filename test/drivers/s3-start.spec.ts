import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { StorageError, StorageUnavailableError } from '../../src/storage/storage.errors.js';
import { describeWithRadosgw } from '../support/radosgw.js';
import { listed } from '../contract/object-store.harness.js';
import { s3Error, useFaultyS3 } from './support/faulty-s3.js';

describeWithRadosgw('S3: the start', () => {
  const s3 = useFaultyS3();

  describe('at the start', () => {
    /** Rejections say what is wrong, are not retryable, and name no secret. */
    async function expectSentence(preparing: Promise<void>, sentence: RegExp): Promise<void> {
      const [outcome] = await Promise.allSettled([preparing]);
      if (outcome.status === 'fulfilled') throw new Error('it was prepared');
      const error = outcome.reason as StorageError;
      expect(error).toBeInstanceOf(StorageError);
      expect(error).not.toBeInstanceOf(StorageUnavailableError);
      expect(error.message).toMatch(sentence);
      const said = [error, error.cause].map((each) => `${String(each)} ${JSON.stringify(each)}`).join();
      expect(said).not.toContain(s3.server.secretAccessKey);
      expect(said).not.toMatch(/Signature=|StringToSign|testkey/);
    }

    it('succeeds, and removes its probe', async () => {
      await s3.open(s3.proxy.endpoint).prepare();
      expect(s3.proxy.counts()).toMatchObject({ PUT: 1, HEAD: 1 });
      expect(await listed(s3.direct, '')).toEqual([]);
    });

    it('reports a wrong secret', async () => {
      const store = s3.open(s3.server.endpoint, {}, { storageS3SecretAccessKey: 'wrong' });
      await expectSentence(store.prepare(), /secret key does not match .*STORAGE_S3_SECRET_ACCESS_KEY/);
    });

    it('reports an unknown key', async () => {
      const store = s3.open(s3.server.endpoint, {}, { storageS3AccessKeyId: 'unknown' });
      await expectSentence(store.prepare(), /does not know the access key.*STORAGE_S3_ACCESS_KEY_ID/);
    });

    it('reports a missing bucket', async () => {
      const store = s3.open(s3.server.endpoint, {}, { storageS3Bucket: 'no-such-bucket' });
      await expectSentence(store.prepare(), /no bucket no-such-bucket at .*STORAGE_S3_BUCKET/);
    });

    it.each<[string, number, string, RegExp]>([
      ['access is denied', 403, 'AccessDenied', /access to the bucket .* is denied.*s3:PutObject/],
      ['the clock is wrong', 403, 'RequestTimeTooSkewed', /synchronize them/],
      ['the token has expired', 400, 'ExpiredToken', /credentials have expired/],
      ['the bucket is elsewhere', 301, 'PermanentRedirect', /another region.*STORAGE_S3_REGION/],
      ['the region is wrong', 400, 'AuthorizationHeaderMalformed', /STORAGE_S3_REGION/],
      ['the storage class is unknown', 400, 'InvalidStorageClass', /STORAGE_S3_STORAGE_CLASS/],
      ['the KMS key is gone', 400, 'KMS.NotFoundException', /STORAGE_S3_SSE_KMS_KEY_ID/],
    ])('reports that %s', async (_, status, code, sentence) => {
      for (const method of ['GET', 'PUT']) {
        s3.proxy.heal();
        s3.proxy.inject({ method, times: Infinity, fault: s3Error(status, code) });
        await expectSentence(s3.open(s3.proxy.endpoint, { attempts: 2 }).prepare(), sentence);
      }
    });

    it('reports a missing read permission', async () => {
      s3.proxy.inject({ method: 'HEAD', times: Infinity, fault: { kind: 'respond', status: 403 } });
      await expectSentence(s3.open(s3.proxy.endpoint).prepare(), /s3:GetObject/);
    });
  });
});
