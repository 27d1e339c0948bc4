import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Waits until its standard input ends: when the run ends, also by Ctrl-C or kill -9. Then it stops the
 * Berths, the radosgw and the Postgres that tests started and removes the run's directory. It tries more than
 * once, for a Postgres that is starting.
 */
const REAPER = `
cat > /dev/null
for file in "$1"/*.pid; do
  if [ -f "$file" ]; then kill -KILL "$(cat "$file")" 2> /dev/null; fi
done
for directory in "$1"/radosgw-*; do
  if [ -d "$directory" ]; then "$2" stop "$directory"; fi
done
for round in 1 2 3; do
  pid=$(head -n 1 "$1/postgres/postmaster.pid" 2> /dev/null)
  if [ -n "$pid" ]; then
    kill -INT "$pid" 2> /dev/null
    tries=0
    while kill -0 "$pid" 2> /dev/null && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
    kill -QUIT "$pid" 2> /dev/null
    break
  fi
  [ -e "$1/postgres.lock" ] || break
  sleep 0.5
done
rm -rf "$1"
`;

/** Jest's globalSetup: makes the run's directory and starts the process that cleans up. Starts no server. */
export default function setup(): void {
  const directory = mkdtempSync(join(tmpdir(), 'berth-test-'));
  // Detached, so that Ctrl-C does not reach it.
  const radosgw = fileURLToPath(new URL('./radosgw.sh', import.meta.url));
  const reaper = spawn('/bin/sh', ['-c', REAPER, 'berth-test-reaper', directory, radosgw], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  reaper.unref();
  process.env['BERTH_TEST_RUN_DIR'] = directory;
  Object.assign(globalThis, { berthTestPostgresReaper: reaper });
}
