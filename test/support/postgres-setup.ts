import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, statfsSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file system in memory, on Linux. */
const MEMORY = '/dev/shm';
/** More than the databases of a run use. A container often has 64 MB. */
const MIN_MEMORY_BYTES = 2 ** 31;

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
  pid=$(head -n 1 "$3/postgres/postmaster.pid" 2> /dev/null)
  if [ -n "$pid" ]; then
    kill -INT "$pid" 2> /dev/null
    tries=0
    while kill -0 "$pid" 2> /dev/null && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
    kill -QUIT "$pid" 2> /dev/null
    break
  fi
  [ -e "$3/postgres.lock" ] || break
  sleep 0.5
done
rm -rf "$3" "$1"
`;

/** Jest's globalSetup: makes the run's directory and starts the process that cleans up. Starts no server. */
export default function setup(): void {
  const directory = mkdtempSync(join(tmpdir(), 'berth-test-'));
  // Detached, so that Ctrl-C does not reach it.
  const radosgw = fileURLToPath(new URL('./radosgw.sh', import.meta.url));
  const databases = makeDatabaseDirectory(directory);
  const reaper = spawn('/bin/sh', ['-c', REAPER, 'berth-test-reaper', directory, radosgw, databases], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  reaper.unref();
  process.env['BERTH_TEST_RUN_DIR'] = directory;
  Object.assign(globalThis, { berthTestPostgresReaper: reaper });
}

/**
 * Makes `databases`, where the run's Postgres is: a link into memory if there is enough. Tests create and
 * drop hundreds of databases, each of 300 files. On ext4 a new file costs more after many deletions: numbers
 * of files that were just deleted are not used again for minutes, and each of them is looked at.
 */
function makeDatabaseDirectory(runDirectory: string): string {
  const path = join(runDirectory, 'databases');
  if (!hasMemory()) {
    mkdirSync(path);
    return path;
  }
  const target = mkdtempSync(join(MEMORY, 'berth-test-'));
  symlinkSync(target, path);
  return target;
}

function hasMemory(): boolean {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY);
    return process.platform === 'linux' && bavail * bsize >= MIN_MEMORY_BYTES;
  } catch {
    return false;
  }
}
