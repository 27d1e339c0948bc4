import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase } from '../support/test-postgres.js';

async function query(config: pg.ClientConfig, sql: string): Promise<unknown[]> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('createTestDatabase', () => {
  it('creates separate databases', async () => {
    const one = await createTestDatabase();
    const two = await createTestDatabase();
    await query(one.connection, 'CREATE TABLE only_here (x int)');
    await expect(query(two.connection, 'SELECT * FROM only_here')).rejects.toThrow('does not exist');
    await one.drop();
    await two.drop();
    await expect(query(one.connection, 'SELECT 1')).rejects.toThrow('does not exist');
  });

  it('can be reached by URL', async () => {
    const database = await createTestDatabase();
    expect(new URL(database.url).protocol).toBe('postgres:');
    const rows = await query({ connectionString: database.url }, 'SELECT current_database() AS name');
    expect(rows).toEqual([{ name: database.connection.database }]);
    await database.drop();
  });

  it('sorts by bytes and changes the case of letters beyond ASCII', async () => {
    const database = await createTestDatabase();
    const rows = await query(database.connection, `SELECT 'Z' < 'a' AS bytes, lower('Ä') AS small`);
    expect(rows).toEqual([{ bytes: true, small: 'ä' }]);
    await database.drop();
  });
});
