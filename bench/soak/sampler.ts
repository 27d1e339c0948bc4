import { readdirSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withDatabase } from '../servers/berth-database.js';
import type { BerthServer } from '../servers/berth.server.js';
import { currentPss, currentRss } from '../servers/memory-watch.js';

const MIB = 1024 * 1024;

/** The values of one sample: name → value. */
export interface Sample {
  readonly atSeconds: number;
  readonly values: ReadonlyMap<string, number>;
}

/** Samples a running Berth from outside: its processes, its database, its directory. */
export async function takeSample(berth: BerthServer, atSeconds: number): Promise<Sample> {
  const { serving, database } = berth.processes();
  const values = new Map<string, number>([
    ['Berth RSS, MiB', sum(serving, currentRss) / 1024],
    ['Berth PSS, MiB', sum(serving, currentPss) / 1024],
    ['PostgreSQL PSS, MiB', sum(database, currentPss) / 1024],
    ['descriptors of Berth', sum(serving, descriptors)],
    ['PostgreSQL processes', database.length],
  ]);
  const storage = join(berth.directory, 'data/storage');
  for (const folder of ['uploads', 'blobs']) {
    const { files, bytes } = await usage(join(storage, folder));
    values.set(`${folder} on disk`, files).set(`${folder} on disk, MiB`, bytes / MIB);
  }
  await withDatabase(berth.directory, async (client) => {
    const tables = await client.query<{ name: string; bytes: string }>(
      `SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname`,
    );
    for (const { name, bytes } of tables.rows) {
      const { rows } = await client.query<{ count: string }>(
        `SELECT count(*) AS count FROM ${client.escapeIdentifier(name)}`,
      );
      values.set(`${name}: rows`, Number(rows[0]?.count ?? 0)).set(`${name}: MiB`, Number(bytes) / MIB);
    }
  });
  return { atSeconds, values };
}

function sum(pids: readonly number[], measure: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + measure(pid), 0);
}

/** 0 for a process that has ended. */
function descriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** Files may disappear meanwhile. */
async function usage(folder: string): Promise<{ files: number; bytes: number }> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(({ parentPath, name }) => {
      return stat(join(parentPath, name)).then(
        ({ size }) => size,
        () => 0,
      );
    }),
  );
  return { files: files.length, bytes: sizes.reduce((total, size) => total + size, 0) };
}
