import { resolve } from 'node:path';
import { restoreBackup } from '../backup/restore-backup.js';
import { checkPair } from './check.js';
import { print, runCommand } from './command.js';
import { withDataDirectory, withEmbeddedPostgres } from './with-database.js';

const HELP = `Usage: npm run restore -- [OPTION] DIR   or   node dist/src/commands/restore.js [OPTION] DIR

Restores a backup that \`backup\` made to DATA_DIR, which must have no database, and checks that the storage
has what the database needs. The storage is restored, too, if the backup has it; otherwise restore it first.
Settings are those of Berth, which must not run. docs/backup.md explains it.

The exit code is 1 if something is missing; the database is restored then, too.

  --full      checks all blobs, instead of a sample
  -h, --help  prints this text
`;

await runCommand({
  what: 'The restore',
  help: HELP,
  options: { full: { type: 'boolean' } },
  positionals: 1,
  run: (configuration, { values: { full = false }, positionals: [directory = ''] }) =>
    withDataDirectory(configuration, print, async () => {
      const { until, storage } = await restoreBackup(configuration, resolve(directory), print);
      const what = storage === undefined ? 'database is' : 'database and the storage are';
      print(`The ${what} restored to ${until.toISOString()}.`);
      const options = { full, isNewStorage: storage !== undefined };
      return withEmbeddedPostgres(configuration, (dataSource) =>
        checkPair(configuration, dataSource, options),
      );
    }),
});
