import pg from 'pg';
import { createMigratedDatabase, type TestDatabase } from '../test-postgres.js';
import { explainingSettings } from './plan-recorder.js';
import { seedStatements, type Sizes } from './seed-statements.js';

/**
 * It would begin while tests run: what it holds on to is in the way of statements, and what it learns may
 * change their plans.
 */
const WITHOUT_AUTOVACUUM = `
  DO $$ DECLARE each text; BEGIN
    FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
      EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = false)', each);
    END LOOP;
  END $$`;

/**
 * A migrated database with a large registry in it, whose sessions tell the plans of their statements from now
 * on. Foreign keys are not checked while it is filled, row by row, which would take most of the time.
 */
export async function createSeededDatabase(sizes: Sizes): Promise<TestDatabase> {
  const database = await createMigratedDatabase();
  try {
    await onConnection(database, async (client) => {
      await client.query('SET session_replication_role = replica');
      for (const statement of seedStatements(sizes)) await client.query(statement);
      await client.query(WITHOUT_AUTOVACUUM);
      await client.query('VACUUM (ANALYZE)');
      for (const setting of explainingSettings(database.connection.database)) await client.query(setting);
    });
  } catch (error) {
    await database.drop();
    throw error;
  }
  return database;
}

async function onConnection(
  { connection }: TestDatabase,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  await work(client).finally(() => client.end());
}
