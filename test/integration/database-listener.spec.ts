import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Replica } from '../../src/common/replica.js';
import { DatabaseListener } from '../../src/database/connection/database-listener.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';
import { until } from '../support/until.js';

const CHANNEL = 'something_happened';

describe('DatabaseListener', () => {
  let test: TestDataSource;
  let replica: Replica;
  let listener: DatabaseListener;
  let other: DatabaseListener;
  let heard: string[];

  beforeEach(async () => {
    test = await createTestDataSource();
    replica = new Replica();
    heard = [];
    listener = new DatabaseListener(test.dataSource, replica);
    listener.on(CHANNEL, (payload) => {
      if (payload === 'nonsense') throw new Error('not understood');
      heard.push(payload);
    });
    other = new DatabaseListener(test.dataSource, new Replica());
    await Promise.all([listener.onModuleInit(), other.onModuleInit()]);
  });
  afterEach(async () => {
    await Promise.all([listener.onModuleDestroy(), other.onModuleDestroy()]);
    await test.dispose();
  });

  /** Ends its connection, as a restart of Postgres does. */
  const cut = () =>
    test.dataSource.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'berth-listener' AND datname = current_database()`,
    );

  it('receives notifications of all replicas, and ignores invalid ones', async () => {
    await other.notify(CHANNEL, 'nonsense');
    await other.notify(CHANNEL, 'first');
    await listener.notify(CHANNEL, 'second');
    await until('both', () => heard.length === 2);
    expect(heard).toEqual(['first', 'second']);
  });

  it('is reported as present while it is connected', async () => {
    expect(await other.isPresent(replica.name)).toBe(true);
    expect(await other.isPresent(new Replica().name)).toBe(false);
    await listener.onModuleDestroy();
    expect(await other.isPresent(replica.name)).toBe(false);
  });

  it('reconnects after its connection was lost', async () => {
    await cut();
    await until('its presence', () => other.isPresent(replica.name));
    await until('a message to arrive', async () => {
      await other.notify(CHANNEL, 'still there?');
      return heard.length > 0;
    });
  });

  it('can be stopped while it reconnects', async () => {
    await cut();
    await listener.onModuleDestroy();
    expect(await other.isPresent(replica.name)).toBe(false);
  });
});
