import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Waits until its standard input ends, which it does when the run is over, however it ended (Ctrl-C and kill
 * -9 included), and takes away whatever the run left: replicas, frozen ones too, Postgres, the mount, the
 * files.
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
while [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
tries=0
while grep -q " $1/storage " /proc/mounts 2> /dev/null && [ $tries -lt 50 ]; do
  umount "$1/storage" 2> /dev/null || sleep 0.1
  tries=$((tries + 1))
done
rm -rf --one-file-system "$1"
`;

/** Where a run takes place: a directory with everything in it. */
export class Ground {
  private constructor(
    readonly root: string,
    private readonly sweeper: ChildProcess,
  ) {}

  static async prepare(): Promise<Ground> {
    const root = await realpath(await mkdtemp(join(tmpdir(), 'berth-chaos-')));
    await chmod(root, 0o755);
    await mkdir(join(root, 'replicas'));
    const sweeper = spawn('/bin/sh', ['-c', SWEEPER, 'berth-chaos-sweeper', root], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    sweeper.unref();
    return new Ground(root, sweeper);
  }

  /** For what replicas have in common. May be a mount. */
  get storage(): string {
    return join(this.root, 'storage');
  }

  /** Notes a process group, for the sweeper. */
  async register(pid: number): Promise<void> {
    await writeFile(join(this.root, 'replicas', String(pid)), '');
  }

  /** Takes everything away. */
  async clear(): Promise<void> {
    this.sweeper.ref();
    const gone = once(this.sweeper, 'exit');
    this.sweeper.stdin?.end();
    await gone;
  }
}
