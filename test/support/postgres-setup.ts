import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Waits until its standard input ends, which it does when the run is over, however it ended (Ctrl-C and kill -9
 * included), then stops the Postgres that a test may have started and removes its directory. Several rounds, for a
 * server that was just starting.
 */
const REAPER = `
cat > /dev/null
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

/** Jest's globalSetup: makes the directory of the run's Postgres, and sees to its end. Starts no Postgres. */
export default function setup(): void {
  const directory = mkdtempSync(join(tmpdir(), 'berth-test-'));
  // A session of its own: Ctrl-C must not reach it.
  const reaper = spawn('/bin/sh', ['-c', REAPER, 'berth-test-reaper', directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  reaper.unref();
  process.env['BERTH_TEST_POSTGRES_DIR'] = directory;
  Object.assign(globalThis, { berthTestPostgresReaper: reaper });
}
