import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Waits for the end of its standard input, which is the end of the run (also by Ctrl-C or kill -9). Then
 * kills the replicas (also frozen ones) and Postgres, unmounts the disk and deletes the files.
 */
const SWEEPER = `
cat > /dev/null
for file in "$1"/replicas/*; do
  [ -e "$file" ] || continue
  pid=$(basename "$file")
  tr '\\0' ' ' < "/proc/$pid/cmdline" 2> /dev/null | grep -q main.js && kill -KILL "-$pid" 2> /dev/null
done
pid=$(head -n 1 "$1/postgres/postmaster.pid" 2> /dev/null)
[ -n "$pid" ] && kill -QUIT "$pid" 2> /dev/null
tries=0
while [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null && [ $tries -lt 100 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
tries=0
while grep -q " $1/storage " /proc/mounts 2> /dev/null && [ $tries -lt 50 ]; do
  umount "$1/storage" 2> /dev/null || sleep 0.1
  tries=$((tries + 1))
done
rm -rf --one-file-system "$1"
`;

/** The directory of a run, with all its files. */
export class Workspace {
  private constructor(
    readonly root: string,
    private readonly sweeper: ChildProcess,
  ) {}

  static async prepare(): Promise<Workspace> {
    const root = await realpath(await mkdtemp(join(tmpdir(), 'berth-chaos-')));
    await chmod(root, 0o755);
    await mkdir(join(root, 'replicas'));
    const sweeper = spawn('/bin/sh', ['-c', SWEEPER, 'berth-chaos-sweeper', root], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    sweeper.unref();
    return new Workspace(root, sweeper);
  }

  /** For the storage shared by the replicas. May be a mount. */
  get storage(): string {
    return join(this.root, 'storage');
  }

  /** Registers a process group, for the sweeper to kill. */
  async register(pid: number): Promise<void> {
    await writeFile(join(this.root, 'replicas', String(pid)), '');
  }

  /** Stops, unmounts and deletes everything. */
  async clear(): Promise<void> {
    this.sweeper.ref();
    const gone = once(this.sweeper, 'exit');
    this.sweeper.stdin?.end();
    await gone;
  }
}
