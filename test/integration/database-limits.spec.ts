import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { dataSourceOptions, SERVING } from '../../src/database/connection/data-source-options.js';
import { isDatabaseUnavailable } from '../../src/database/errors/database-errors.js';
import { createTestDatabase, type TestDatabase } from '../support/test-postgres.js';

describe('a database that does not respond', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it.each([
    ['Postgres ends the statement', { statement_timeout: 50 }],
    ['the database returns nothing', { query_timeout: 50 }],
  ])('ends in an error that means "try again": %s', async (_, limit) => {
    const options = dataSourceOptions({ url: database.url }, 2, { ...SERVING, ...limit });
    const dataSource = await new DataSource(options).initialize();
    try {
      const failure: unknown = await dataSource.query('SELECT pg_sleep(1)').then(
        () => 'it responded',
        (error: unknown) => error,
      );
      expect(isDatabaseUnavailable(failure)).toBe(true);
    } finally {
      await dataSource.destroy();
    }
  });

  it('has every timeout set while it serves', () => {
    const { extra } = dataSourceOptions({ url: database.url }, 2);
    for (const limit of Object.values(extra)) expect(limit).toBeTruthy();
    expect(Object.keys(extra)).toEqual(
      expect.arrayContaining(['query_timeout', 'statement_timeout', 'lock_timeout']),
    );
  });

  it('ends the session of a frozen lock holder before the lock timeout of the waiting sessions', () => {
    expect(SERVING.idle_in_transaction_session_timeout).toBeLessThan(SERVING.lock_timeout ?? 0);
  });

  it('may end a connection while it is checked out of the pool', async () => {
    const dataSource = await new DataSource(dataSourceOptions({ url: database.url }, 2)).initialize();
    try {
      const { master } = dataSource.driver as unknown as { master: pg.Pool };
      const client = await master.connect();
      // An `error` event without a listener would be thrown.
      expect(() => client.emit('error', new Error('terminating connection'))).not.toThrow();
      client.release(true);
    } finally {
      await dataSource.destroy();
    }
  });
});
