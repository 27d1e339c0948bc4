import { resolve } from 'node:path';
import type { BackupDescription } from '../backup/backup-description.js';
import { makeBackup } from '../backup/make-backup.js';
import { STORAGE_COPYING, type StorageCopying } from '../backup/storage-copy.js';
import { formatBytes, quantity } from '../common/quantity.js';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import { print, runCommand } from './command.js';

const HELP = `Usage: npm run backup -- [OPTION] DIR   or   node dist/src/commands/backup.js [OPTION] DIR

Copies the embedded database to DIR, which must be empty or not exist, while Berth runs. Settings are those of
Berth. docs/backup.md explains it.

  --storage=copy  then copies the storage of the file system driver, too
  --storage=link  the same with hard links, if DIR is on the same file system
  -h, --help      prints this text
`;

await runCommand({
  what: 'The backup',
  help: HELP,
  options: { storage: { type: 'string' } },
  positionals: 1,
  run: async (configuration, { values, positionals: [directory = ''] }) => {
    const storage = copyingOf(values.storage);
    const backup = await makeBackup(configuration, resolve(directory), storage);
    report(configuration, resolve(directory), backup);
    return 0;
  },
});

function copyingOf(text: string | undefined): StorageCopying | undefined {
  const found = STORAGE_COPYING.find((each) => each === text);
  if (text === undefined || found !== undefined) return found;
  throw new StartupError(
    `--storage is one of ${STORAGE_COPYING.join(', ')}; --help shows what this command takes`,
  );
}

function report(configuration: Configuration, directory: string, backup: BackupDescription): void {
  const { database, storage, until } = backup;
  const time = until.toISOString();
  print(
    `The database is in ${directory}: ${describe(database)}. It has what was acknowledged before ${time}.`,
  );
  const deadline = new Date(until.getTime() + configuration.gcReadWindowSeconds * 1000);
  if (storage === undefined) return print(adviseOnStorage(configuration, deadline));
  print(`The storage is in it, too: ${describe(storage)}.`);
  if (new Date() > deadline) {
    print(
      'The copy took longer than GC_READ_WINDOW_SECONDS, so the collector may have deleted objects that the ' +
        'database needs: make that setting longer, or pause the job collect during a backup. ' +
        'A restore with --full shows whether something is missing.',
    );
  }
}
function describe({ files, bytes }: BackupDescription['database']): string {
  return `${quantity(files, 'file')}, ${formatBytes(bytes)}`;
}

function adviseOnStorage({ storageDriver, filesystemRoot }: Configuration, deadline: Date): string {
  const what = storageDriver === 'filesystem' ? filesystemRoot : `the bucket (${storageDriver})`;
  return (
    `The storage is not in it: copy ${what} now, and be done before ${deadline.toISOString()} ` +
    '(GC_READ_WINDOW_SECONDS), or pause the job collect until then.'
  );
}
