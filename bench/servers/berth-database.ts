import { join } from 'node:path';
import { Client } from 'pg';

/**
 * Connects to the embedded PostgreSQL of the Berth in `directory`, and disconnects when `work` is done. It is
 * reached by its socket, which lies in its own directory; root may enter that, and its owner.
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
