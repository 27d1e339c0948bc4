import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { UserDelegationKey } from '@azure/storage-blob';
import { delegationSigner, type SignedBlob } from './azure-signers.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const SECRET = Buffer.from('issued by Azure').toString('base64');

describe('delegationSigner', () => {
  let requested: { startsOn: Date; expiresOn: Date }[];
  let failures: Error[];

  beforeEach(() => {
    requested = [];
    failures = [];
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'], now: new Date('2026-03-04T10:00:00Z') });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const signer = (): ReturnType<typeof delegationSigner> =>
    delegationSigner((startsOn, expiresOn) => {
      requested.push({ startsOn, expiresOn });
      const failure = failures.shift();
      return failure ? Promise.reject(failure) : Promise.resolve(issued(startsOn, expiresOn));
    }, 'berth');

  const issued = (signedStartsOn: Date, signedExpiresOn: Date): UserDelegationKey => ({
    signedObjectId: '11111111-1111-1111-1111-111111111111',
    signedTenantId: '22222222-2222-2222-2222-222222222222',
    signedStartsOn,
    signedExpiresOn,
    signedService: 'b',
    signedVersion: '2025-01-05',
    value: SECRET,
  });

  const blob = (lifetimeMs = 15 * MINUTE_MS): SignedBlob => ({
    containerName: 'layers',
    blobName: 'some/where/blobs/ab/x~y',
    expiresOn: new Date(Date.now() + lifetimeMs),
    isHttps: true,
  });

  it('allows only to read the blob, and names the identity of the key', async () => {
    const query = new URLSearchParams(await signer()(blob()));
    expect(Object.fromEntries(query)).toMatchObject({
      sp: 'r',
      sr: 'b',
      se: '2026-03-04T10:15:00Z',
      spr: 'https',
      rsct: 'application/octet-stream',
      skoid: '11111111-1111-1111-1111-111111111111',
      sktid: '22222222-2222-2222-2222-222222222222',
      ske: '2026-03-05T10:00:00Z',
      sks: 'b',
    });
    // A start time may be in the future by Azure's clock.
    expect(query.has('st')).toBe(false);
    expect(query.toString()).not.toContain(SECRET);
  });

  it('signs each blob separately', async () => {
    const sign = signer();
    const [one, again, other] = [
      await sign(blob()),
      await sign(blob()),
      await sign({ ...blob(), blobName: 'another' }),
    ];
    expect(new URLSearchParams(one).get('sig')).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(again).toBe(one);
    expect(new URLSearchParams(other).get('sig')).not.toBe(new URLSearchParams(one).get('sig'));
  });

  it('reuses a key until a signature would outlive it', async () => {
    const sign = signer();
    await sign(blob());
    await sign(blob());
    jest.setSystemTime(Date.now() + DAY_MS - 15 * MINUTE_MS);
    await sign(blob());
    expect(requested).toHaveLength(1);
    jest.setSystemTime(Date.now() + 1000);
    await sign(blob());
    await sign(blob());
    expect(requested).toHaveLength(2);
  });

  it('requests one key for concurrent signatures', async () => {
    const sign = signer();
    await Promise.all([sign(blob()), sign(blob()), sign(blob())]);
    expect(requested).toHaveLength(1);
    jest.setSystemTime(Date.now() + DAY_MS);
    await Promise.all([sign(blob()), sign(blob()), sign(blob())]);
    expect(requested).toHaveLength(2);
  });

  it('requests a key that is already valid if a clock is behind', async () => {
    await signer()(blob());
    expect(requested).toEqual([
      { startsOn: new Date('2026-03-04T09:45:00Z'), expiresOn: new Date('2026-03-05T10:00:00Z') },
    ]);
  });

  it('retries after a failure', async () => {
    const failure = new Error('not now');
    failures = [failure];
    const sign = signer();
    await expect(sign(blob())).rejects.toBe(failure);
    expect(await sign(blob())).toContain('sig=');
  });
});
