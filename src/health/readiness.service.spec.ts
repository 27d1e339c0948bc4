import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { failed, type Finding, OK, UNKNOWN } from './check.js';
import type { DatabaseChecks } from './database-checks.js';
import { ReadinessService } from './readiness.service.js';
import type { StorageChecks } from './storage-checks.js';

const FULL: Finding = { status: 'full' };
const NEWER: Finding = { status: 'newer', reason: new Error('newer') };
const FAILED = failed(new Error('gone'));

describe('ReadinessService', () => {
  let database: Record<'database' | 'migrations' | 'identity', Finding>;
  let storage: Record<'storage' | 'identity', Finding>;
  let readiness: ReadinessService;
  let logged: string[];

  beforeEach(() => {
    database = { database: OK, migrations: OK, identity: OK };
    storage = { storage: OK, identity: OK };
    readiness = new ReadinessService(
      { run: () => Promise.resolve(database) } as DatabaseChecks,
      { run: () => Promise.resolve(storage) } as StorageChecks,
    );
    logged = [];
    jest
      .spyOn(Logger.prototype, 'error')
      .mockImplementation((_fields, text) => void logged.push(String(text)));
    jest.spyOn(Logger.prototype, 'warn').mockImplementation((text) => void logged.push(String(text)));
  });

  it.each([
    [{}, {}, 'ok'],
    [{ migrations: NEWER }, {}, 'ok'],
    [{ database: FULL }, {}, 'degraded'],
    [{}, { storage: FULL }, 'degraded'],
    [{ database: FULL }, { storage: FAILED, identity: UNKNOWN }, 'unavailable'],
    [{ database: FAILED, migrations: UNKNOWN, identity: UNKNOWN }, {}, 'unavailable'],
    [{ migrations: FAILED }, {}, 'unavailable'],
    [{ identity: FAILED }, {}, 'unavailable'],
    [{}, { storage: UNKNOWN, identity: FAILED }, 'unavailable'],
  ])('%j, %j: %s', async (ofDatabase, ofStorage, status) => {
    Object.assign(database, ofDatabase);
    Object.assign(storage, ofStorage);
    expect((await readiness.check()).status).toBe(status);
  });

  it.each([
    [UNKNOWN, FAILED, 'failed'],
    [FAILED, UNKNOWN, 'failed'],
    [UNKNOWN, OK, 'unknown'],
    [OK, OK, 'ok'],
  ])('the identity of the database %j and of the storage %j: %s', async (one, other, status) => {
    database.identity = one;
    storage.identity = other;
    expect((await readiness.check()).checks.identity).toBe(status);
  });

  it('is not ready while it stops, and says so unless a check fails', async () => {
    readiness.stop();
    expect((await readiness.check()).status).toBe('stopping');
    storage.storage = FULL;
    expect((await readiness.check()).status).toBe('stopping');
    database.database = FAILED;
    expect((await readiness.check()).status).toBe('unavailable');
  });

  it('logs changes, once', async () => {
    const check = async (findings: Partial<typeof database>) => {
      Object.assign(database, findings);
      await readiness.check();
      await readiness.check();
    };
    await check({});
    await check({ database: FAILED, migrations: UNKNOWN, identity: UNKNOWN });
    await check({ database: FULL, migrations: NEWER, identity: OK });
    await check({ database: OK, migrations: OK });
    expect(logged).toEqual([
      'not ready: the database check failed',
      'the database is full; pulls still work',
      'newer: upgrade this replica, too',
      'the database check passes again',
      'the migrations check passes again',
    ]);
  });
});
