import { createInterface } from 'node:readline';
import { claimDataDirectory } from '../../src/boot/data-directory.js';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.js';
import type { ChildMessage, ChildOptions } from './embedded-child.js';

/**
 * A small Berth that embedded-postgres.spec.ts kills. It claims DATA_DIR, starts the embedded Postgres,
 * prints lines of JSON and obeys its standard input. `compiled-sources.ts` makes its directory,
 * `embedded-child.ts` starts it.
 */
function say(message: ChildMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function run({ dataDir, claimOnly, binaries }: ChildOptions): Promise<void> {
  await claimDataDirectory(dataDir);
  const postgres = claimOnly
    ? undefined
    : await startEmbeddedPostgres({
        dataDir: `${dataDir}/postgres`,
        log: (log) => say({ log }),
        ...(binaries && { binaries }),
      });
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'exit') process.exit(0);
    await postgres?.stop();
    process.exit(0);
  }
}

// Ctrl-C does not end it, like a Berth that drains before it stops Postgres.
process.on('SIGINT', () => say({ interrupted: true }));

run(JSON.parse(process.argv[2] ?? '{}') as ChildOptions).catch((error: unknown) => {
  say({ failed: String(error) });
  process.exit(1);
});
