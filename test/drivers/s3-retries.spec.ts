import 'reflect-metadata';
import { createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { StorageUnavailableError } from '../../src/storage/storage.errors.js';
import { type Fault, FaultProxy } from '../support/fault-proxy.js';
import { describeWithRadosgw } from '../support/radosgw.js';
import { until } from '../support/until.js';
import { NOW } from '../contract/object-store.harness.js';
import { arranged, CALLS, INTERNAL, SLOW_DOWN, useFaultyS3 } from './support/faulty-s3.js';

describeWithRadosgw('S3: retries', () => {
  const s3 = useFaultyS3();

  describe.each<[string, Fault]>([
    ['an internal error', INTERNAL],
    ['a 502 of something between', { kind: 'respond', status: 502, body: '<html>Bad Gateway</html>' }],
    ['a reset before it was received', { kind: 'reset' }],
    ['a lost response', { kind: 'lose response' }],
  ])('after two failures (%s)', (_, fault) => {
    it.each(CALLS)('%s succeeds', async (__, call) => {
      const scene = await arranged(s3.direct);
      s3.proxy.inject({ times: 2, fault });
      await call(s3.open(s3.proxy.endpoint), scene, NOW);
      expect(s3.proxy.requests().filter((request) => request.fault === fault.kind)).toHaveLength(2);
    });
  });

  it('each call succeeds after it was throttled twice', async () => {
    // In parallel, because each waits for a second or more. Each has its own prefix.
    const scenes = CALLS.map(async ([name, call]) => {
      const storageS3Prefix = `${name.replaceAll(' ', '-')}/`;
      const own = await FaultProxy.start(s3.server.endpoint);
      try {
        const scene = await arranged(s3.open(s3.server.endpoint, {}, { storageS3Prefix }));
        own.inject({ times: 2, fault: SLOW_DOWN });
        await call(s3.open(own.endpoint, {}, { storageS3Prefix }), scene, NOW);
        return own.requests().filter(({ fault }) => fault === 'respond').length;
      } finally {
        await own.close();
      }
    });
    expect(await Promise.all(scenes)).toEqual(CALLS.map(() => 2));
  });

  it('an outage does not use up the retries of later calls', async () => {
    const scene = await arranged(s3.direct);
    const store = s3.open(s3.proxy.endpoint, { attempts: 3 });
    const [[, call] = []] = CALLS;
    if (call === undefined) throw new Error('there are no calls');
    s3.proxy.inject({ times: Infinity, fault: INTERNAL });
    // One after the other: with a quota of 500 and 14 per retry, the last ones would not be retried.
    for (let n = 0; n < 25; n += 1)
      await expect(call(store, scene, NOW)).rejects.toBeInstanceOf(StorageUnavailableError);
    s3.proxy.heal();
    s3.proxy.inject({ times: 1, fault: INTERNAL });
    await call(store, scene, NOW);
    expect(s3.proxy.requests().filter(({ fault }) => fault === 'respond')).toHaveLength(25 * 3 + 1);
  });

  describe('permanent failures', () => {
    it.each(CALLS)('%s rejects as unavailable after its attempts', async (_, call) => {
      const scene = await arranged(s3.direct);
      s3.proxy.inject({ times: Infinity, fault: INTERNAL });
      const calling = call(s3.open(s3.proxy.endpoint, { attempts: 3 }), scene, NOW);
      await expect(calling).rejects.toBeInstanceOf(StorageUnavailableError);
      await expect(calling).rejects.toThrow(/responded (InternalError|500)/);
    });

    it.each(CALLS)('%s rejects at its deadline, with attempts left', async (_, call) => {
      const scene = await arranged(s3.direct);
      s3.proxy.inject({ times: Infinity, fault: SLOW_DOWN });
      const limits = { attempts: 1000, callMs: 300, completeMs: 300, msPerMib: 0 };
      const calling = call(s3.open(s3.proxy.endpoint, limits), scene, NOW);
      await expect(calling).rejects.toBeInstanceOf(StorageUnavailableError);
      await expect(calling).rejects.toThrow(/^could not .* within 0.3 s$/);
      // The other attempts would have taken minutes.
      expect(s3.proxy.requests().length).toBeLessThan(100);
    });

    it.each(CALLS)('%s rejects at its deadline if no response comes', async (_, call) => {
      const scene = await arranged(s3.direct);
      s3.proxy.inject({ times: Infinity, fault: { kind: 'hang' } });
      const limits = { callMs: 1_500, completeMs: 1_500, msPerMib: 0 };
      const calling = call(s3.open(s3.proxy.endpoint, limits), scene, NOW);
      await expect(calling).rejects.toBeInstanceOf(StorageUnavailableError);
      // There was time for a second connection. All of them are closed.
      expect(s3.proxy.requests().length).toBeGreaterThan(1);
      await until('the connections to be closed', () => s3.proxy.hangingCount === 0);
    });

    it.each(CALLS)("%s rejects with the caller's reason when it is aborted", async (_, call) => {
      const scene = await arranged(s3.direct);
      for (const fault of [SLOW_DOWN, { kind: 'hang' }] as const) {
        s3.proxy.heal();
        s3.proxy.forget();
        s3.proxy.inject({ times: Infinity, fault });
        const reason = new Error('the client left');
        const caller = new AbortController();
        const calling = call(s3.open(s3.proxy.endpoint), scene, { signal: caller.signal });
        const outcome = expect(calling).rejects.toBe(reason);
        while (s3.proxy.requests().length === 0) await new Promise((resolve) => setImmediate(resolve));
        caller.abort(reason);
        await outcome;
      }
    });

    it('reports that nothing listens, or that the host is unknown', async () => {
      const free = createServer();
      await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
      const { port } = free.address() as { port: number };
      await new Promise((resolve) => free.close(resolve));
      const closedPort = s3.open(`http://127.0.0.1:${port}`, { attempts: 2 }).prepare();
      await expect(closedPort).rejects.toBeInstanceOf(StorageUnavailableError);
      await expect(closedPort).rejects.toThrow(/nothing listens at .*STORAGE_S3_ENDPOINT/);
      const nowhere = s3.open('http://berth.invalid', { attempts: 1 }).prepare();
      await expect(nowhere).rejects.toThrow(/can't be resolved: correct STORAGE_S3_ENDPOINT/);
    });
  });
});
