import { checkPair } from './check.js';
import { print, runCommand } from './command.js';
import { withDatabase } from './with-database.js';

const HELP = `Usage: npm run check-storage [-- OPTION]   or   node dist/src/commands/check-storage.js [OPTION]

Checks that the storage belongs to the database and has the objects that it names, with their sizes. Settings
are those of Berth, which may run. Changes nothing. The exit code is 1 if something is missing.

  --full      checks all blobs, instead of a sample
  -h, --help  prints this text
`;

await runCommand({
  what: 'The check',
  help: HELP,
  options: { full: { type: 'boolean' } },
  positionals: 0,
  run: (configuration, { values: { full = false } }) =>
    withDatabase(configuration, print, (dataSource) =>
      checkPair(configuration, dataSource, { full, isNewStorage: false }),
    ),
});
