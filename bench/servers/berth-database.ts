import { join } from 'node:path';
import { Client } from 'pg';

/**
 * Connects to the embedded PostgreSQL of the Berth in `directory` while `work` runs. Its socket is in its
 * directory, which only its owner and root can enter.
 */
export async function withDatabase<T>(directory: string, work: (client: Client) => Promise<T>): Promise<T> {
  const host = join(directory, 'data/postgres');
  const client = new Client({ host, port: 5432, user: 'berth', database: 'berth', ssl: false });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
