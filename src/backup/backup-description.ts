import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../common/startup.error.js';
import { syncDirectory } from '../common/sync-directory.js';
import { oneLine } from '../database/errors/one-line.js';
import { type CopySize, writeDurably } from './durable-copy.js';

/** The content of a backup, beside its file of the description. */
export const DATABASE_DIRECTORY = 'postgres';
export const STORAGE_DIRECTORY = 'storage';
const FILE = 'backup.json';

/** Changes if an older `restore` would misread the backup. */
const FORMAT = 1;

/** What a backup contains: its file `backup.json`. */
export interface BackupDescription {
  /** The version of Berth that made it. */
  readonly berth: string;
  /** The major version of PostgreSQL, which the restore must have, too. */
  readonly postgres: number;
  /** Everything that was acknowledged before is in the database. */
  readonly until: Date;
  readonly database: CopySize;
  /** Unset: the storage is not in the backup. */
  readonly storage?: CopySize;
}

/** Writes the description: from now on the backup is complete. */
export async function writeDescription(directory: string, description: BackupDescription): Promise<void> {
  const draft = join(directory, `${FILE}.new`);
  await writeDurably(draft, `${JSON.stringify({ format: FORMAT, ...description }, undefined, 2)}\n`);
  await rename(draft, join(directory, FILE));
  await syncDirectory(directory);
}

/** @throws StartupError if the directory has no complete backup, or one that this version can't read. */
export async function readDescription(directory: string): Promise<BackupDescription> {
  const path = join(directory, FILE);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new StartupError(
      `${directory} has no complete backup (${oneLine(cause)}): give the directory that \`backup\` filled`,
      { cause },
    );
  });
  const { format, until, ...rest } = parse(path, text);
  if (format === FORMAT) return { ...rest, until: new Date(until) };
  throw new StartupError(`${path} has the format ${String(format)}, and this Berth reads ${FORMAT}`);
}

/** What `writeDescription` wrote. */
type Written = Omit<BackupDescription, 'until'> & { readonly until: string; readonly format: unknown };

function parse(path: string, text: string): Written {
  try {
    return JSON.parse(text) as Written;
  } catch (cause) {
    throw new StartupError(`${path} is damaged: restore it from another copy of the backup`, { cause });
  }
}
