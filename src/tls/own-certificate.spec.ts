import { X509Certificate } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { endOf, type KeyPair } from './key-pair.js';
import { OwnCertificate } from './own-certificate.js';
import { TlsAuthority } from './tls-authority.js';
import type { TlsAuthorityStore } from './tls-authority.store.js';

const DAY_MS = 24 * 60 * 60 * 1000;

/** The row, in memory. */
class MemoryStore implements Pick<TlsAuthorityStore, keyof TlsAuthorityStore> {
  row: KeyPair | undefined;

  read = () => Promise.resolve(this.row);

  insert = (pair: KeyPair) => {
    this.row ??= pair;
    return Promise.resolve();
  };

  replace = (former: KeyPair, pair: KeyPair) => {
    if (this.row?.cert === former.cert) this.row = pair;
    return Promise.resolve();
  };
}

describe('the certificate of TLS=auto', () => {
  let now: Date;
  let names: string[];
  let store: MemoryStore;
  let source: OwnCertificate;
  let first: KeyPair;
  const logged: string[] = [];

  beforeEach(async () => {
    logged.length = 0;
    for (const level of ['log', 'warn'] as const) {
      jest
        .spyOn(Logger.prototype, level)
        .mockImplementation((line: unknown) => void logged.push(String(line)));
    }
    now = new Date('2026-11-28T12:00:00Z');
    names = ['nas', '192.168.1.10'];
    store = new MemoryStore();
    const authority = new TlsAuthority(store as unknown as TlsAuthorityStore);
    source = new OwnCertificate(
      authority,
      { host: '0.0.0.0', publicUrl: undefined, tlsNames: [] },
      () => now,
      () => names,
    );
    first = await source.load();
  });
  afterEach(() => void jest.restoreAllMocks());

  const afterDays = async (days: number) => {
    now = new Date(now.getTime() + days * DAY_MS);
    return source.renew();
  };

  it('is renewed a month before its end, and not earlier', async () => {
    expect(await afterDays(59)).toBeUndefined();
    const second = await afterDays(2);
    expect(endOf(second ?? first).getTime() - endOf(first).getTime()).toBe(61 * DAY_MS);
    expect(await afterDays(0)).toBeUndefined();
    expect(logged).toEqual(['a new certificate was made, because the last one ends soon']);
  });

  it('is renewed when the machine has a new address, and not when it loses one', async () => {
    names = ['nas', '10.0.0.7'];
    const second = await source.renew();
    expect(new X509Certificate(second?.cert ?? '').subjectAltName).toBe('DNS:nas, IP Address:10.0.0.7');
    names = ['nas'];
    expect(await source.renew()).toBeUndefined();
  });

  it('is renewed when the database has another authority', async () => {
    store.row = undefined;
    await source.renew();
    expect(source.issuedBy).toEqual(store.row);
    expect(logged).toEqual(['a new certificate was made, because the authority is another one']);
  });

  it('gets a new authority when the old one ends, after a warning on each day of its last year', async () => {
    const former = store.row;
    await afterDays(3650 - 366);
    expect(logged.filter((line) => line.includes('the certificate authority'))).toEqual([]);
    await afterDays(2);
    await afterDays(0.5);
    await afterDays(1);
    expect(logged.filter((line) => /^the certificate authority ends on 2036-/.test(line))).toHaveLength(2);
    expect(store.row).toBe(former);
    await afterDays(364);
    expect(store.row).not.toBe(former);
    expect(logged.join()).toMatch(/was replaced: clients must trust the new one at \/auth\/ca.crt, SHA-256 /);
    expect(source.issuedBy).toEqual(store.row);
  });
});
