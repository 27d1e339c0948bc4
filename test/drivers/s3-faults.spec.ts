import 'reflect-metadata';
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { StorageUnavailableError, UploadStateError } from '../../src/storage/storage.errors.js';
import type { Fault } from '../support/fault-proxy.js';
import { describeWithRadosgw } from '../support/radosgw.js';
import { bodyOf, listed, NOW, readAll, stored } from '../contract/object-store.harness.js';
import { expectBytes } from '../contract/storage-driver.harness.js';
import { arranged, s3Error, useFaultyS3 } from './support/faulty-s3.js';

/** Parses `20260102T030405Z`. */
function timeOf(stamp: string): number {
  return Date.parse(stamp.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
}
describeWithRadosgw('S3 behind a faulty network', () => {
  const s3 = useFaultyS3();

  describe('during a call', () => {
    it('a call continues with another connection if one stalls', async () => {
      const scene = await arranged(s3.direct);
      s3.proxy.inject({ fault: { kind: 'hang' } });
      const store = s3.open(s3.proxy.endpoint, { idleMs: 150 });
      expect(await store.head('there', NOW)).toMatchObject({ sizeBytes: scene.content.length });
      expect(s3.proxy.requests()).toHaveLength(2);
    });

    it('a slow store is not a failure', async () => {
      await arranged(s3.direct);
      s3.proxy.inject({ fault: { kind: 'delay', ms: 100 } });
      expect(await s3.open(s3.proxy.endpoint).head('there', NOW)).toBeDefined();
      expect(s3.proxy.requests()).toHaveLength(1);
    });

    it.each([0, 1, 70_000])(
      'a stream that breaks after %d bytes fails, and never ends early',
      async (afterBytes) => {
        const { content } = await arranged(s3.direct);
        s3.proxy.inject({ method: 'GET', fault: { kind: 'break response', afterBytes } });
        const stream = await s3
          .open(s3.proxy.endpoint)
          .get('there', { start: 0, end: content.length - 1 }, NOW);
        const chunks: Buffer[] = [];
        const reading = async (): Promise<void> => {
          for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
        };
        await expect(reading()).rejects.toBeDefined();
        expectBytes(Buffer.concat(chunks), content.subarray(0, afterBytes));
      },
    );

    it('a list that breaks within a page is retried', async () => {
      await arranged(s3.direct);
      s3.proxy.inject({ method: 'GET', fault: { kind: 'break response', afterBytes: 200 } });
      expect(await listed(s3.open(s3.proxy.endpoint), '')).toEqual(['there']);
      expect(s3.proxy.requests()).toHaveLength(2);
    });

    it('corrupted bytes are refused, and nothing is stored', async () => {
      const { multipart, part, content } = await arranged(s3.direct);
      const store = s3.open(s3.proxy.endpoint, { attempts: 2 });
      s3.proxy.inject({ times: Infinity, fault: { kind: 'flip' } });
      const putting = store.put('new', bodyOf(content), NOW);
      await expect(putting).rejects.toBeInstanceOf(StorageUnavailableError);
      expect(await s3.direct.head('new', NOW)).toBeUndefined();
      const again = store.putPart(multipart, 1, bodyOf(content), NOW);
      await expect(again).rejects.toBeInstanceOf(StorageUnavailableError);
      expect(s3.proxy.counts()).toEqual({ PUT: 2, 'PUT partNumber uploadId': 2 });
      await s3.direct.completeMultipart(multipart, [part], NOW);
      expectBytes(await readAll(s3.direct, 'parts'), content);
    });

    it.each(['BadDigest', 'XAmzContentSHA256Mismatch', 'flip'])(
      'bytes that change twice are sent a third time: %s',
      async (code) => {
        const { multipart, content } = await arranged(s3.direct);
        const store = s3.open(s3.proxy.endpoint);
        const fault: Fault = code === 'flip' ? { kind: 'flip' } : s3Error(400, code);
        s3.proxy.inject({ times: 2, fault });
        await store.put('new', bodyOf(content), NOW);
        s3.proxy.inject({ times: 2, fault });
        const part = await store.putPart(multipart, 1, bodyOf(content), NOW);
        await s3.direct.completeMultipart(multipart, [part], NOW);
        for (const name of ['new', 'parts']) expectBytes(await readAll(s3.direct, name), content);
        expect(s3.proxy.requests()).toHaveLength(6);
      },
    );

    it('a completion whose last response is lost is unavailable; the next finds the object', async () => {
      const { multipart, part, content } = await arranged(s3.direct);
      const store = s3.open(s3.proxy.endpoint, { attempts: 1 });
      s3.proxy.inject({ method: 'POST', fault: { kind: 'lose response' } });
      await expect(store.completeMultipart(multipart, [part], NOW)).rejects.toBeInstanceOf(
        StorageUnavailableError,
      );
      expectBytes(await readAll(s3.direct, 'parts'), content);
      // If the store has removed the multipart, the driver looks for the object.
      const [again] = await Promise.allSettled([store.completeMultipart(multipart, [part], NOW)]);
      if (again.status === 'rejected') expect(again.reason).toBeInstanceOf(UploadStateError);
      await store.abortMultipart(multipart, [part], NOW);
      expectBytes(await readAll(s3.direct, 'parts'), content);
    });

    it('a completion with an error in a 200 is retried', async () => {
      const { multipart, part, content } = await arranged(s3.direct);
      s3.proxy.inject({ method: 'POST', fault: s3Error(200, 'InternalError') });
      await s3.open(s3.proxy.endpoint).completeMultipart(multipart, [part], NOW);
      expect(s3.proxy.requests()).toHaveLength(2);
      expectBytes(await readAll(s3.direct, 'parts'), content);
    });

    it('a completion with NoSuchUpload in a 200 is not retried', async () => {
      const { multipart, part } = await arranged(s3.direct);
      s3.proxy.inject({ method: 'POST', times: Infinity, fault: s3Error(200, 'NoSuchUpload') });
      const completing = s3
        .open(s3.proxy.endpoint, { attempts: 2 })
        .completeMultipart(multipart, [part], NOW);
      await expect(completing).rejects.toBeInstanceOf(UploadStateError);
      expect(await s3.direct.head('parts', NOW)).toBeUndefined();
    });

    it('DeleteObjects retries only the throttled name', async () => {
      await stored(s3.direct, 'a', Buffer.from('a'));
      await stored(s3.direct, 'b', Buffer.from('b'));
      const body =
        '<DeleteResult><Error><Key>b</Key><Code>SlowDown</Code>' +
        '<Message>later</Message></Error></DeleteResult>';
      s3.proxy.inject({ method: 'POST', fault: { kind: 'respond', status: 200, body } });
      await s3.open(s3.proxy.endpoint).delete(['a', 'b'], NOW);
      // The proxy said that a was deleted.
      expect(await listed(s3.direct, '')).toEqual(['a']);
    });

    it('DeleteObjects fails if one name is denied', async () => {
      const body =
        '<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code>' +
        '<Message>no</Message></Error></DeleteResult>';
      s3.proxy.inject({ method: 'POST', fault: { kind: 'respond', status: 200, body } });
      const deleting = s3.open(s3.proxy.endpoint).delete(['a', 'b'], NOW);
      await expect(deleting).rejects.toThrow(/access to the bucket .* is denied/);
      await expect(deleting).rejects.not.toBeInstanceOf(StorageUnavailableError);
    });

    it('a store without DeleteObjects gets single deletions', async () => {
      await stored(s3.direct, 'a', Buffer.from('a'));
      await stored(s3.direct, 'b', Buffer.from('b'));
      s3.proxy.inject({ method: 'POST', times: Infinity, fault: s3Error(501, 'NotImplemented') });
      await s3.open(s3.proxy.endpoint, { attempts: 1 }).delete(['a', 'b'], NOW);
      expect(await listed(s3.direct, '')).toEqual([]);
    });

    it("a wrong clock is corrected by the store's responses", async () => {
      await arranged(s3.direct);
      const later = new Date(Date.now() + 3_600_000).toUTCString();
      s3.proxy.inject({ fault: s3Error(403, 'RequestTimeTooSkewed', { date: later }) });
      const store = s3.open(s3.proxy.endpoint);
      // The real store refuses the corrected clock, and its response corrects it again.
      await expect(listed(store, '')).rejects.toThrow(/synchronize them/);
      expect(await listed(store, '')).toEqual(['there']);
      const clocks = s3.proxy.requests().map(({ headers }) => timeOf(String(headers['x-amz-date'])));
      expect(clocks).toHaveLength(3);
      expect(Math.abs(clocks[1]! - clocks[0]! - 3_600_000)).toBeLessThan(60_000);
      expect(Math.abs(clocks[2]! - clocks[0]!)).toBeLessThan(60_000);
    });
  });

  it('sends each body with its MD5, whole and without Expect', async () => {
    const content = randomBytes(3_000_000);
    await s3.open(s3.proxy.endpoint).put('new', bodyOf(content), NOW);
    const [request] = s3.proxy.requests();
    expect(s3.proxy.requests()).toHaveLength(1);
    expect(request!.headers['content-md5']).toBe(createHash('md5').update(content).digest('base64'));
    expect(request!.headers['content-length']).toBe('3000000');
    expect(request!.headers).not.toHaveProperty('expect');
    expect(request!.headers).not.toHaveProperty('x-amz-trailer');
  });
});
