import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A small file system. */
export interface SmallDisk {
  readonly path: string;
  remount(options: string): Promise<void>;
  unmount(): Promise<void>;
}

/** Mounts a tmpfs, or returns why that is impossible here (it takes root on Linux). */
export async function mountSmallDisk(sizeBytes: number, mountPoint?: string): Promise<SmallDisk | string> {
  const path = mountPoint ?? (await realpath(await mkdtemp(join(tmpdir(), 'berth-small-disk-'))));
  try {
    await mkdir(path, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', path]);
  } catch (error) {
    await rm(path, { recursive: true });
    return `no small file system could be mounted: ${String(error)}`;
  }
  return {
    path,
    remount: async (options) => {
      await run('mount', ['-o', `remount,${options}`, path]);
    },
    unmount: async () => {
      await run('umount', [path]);
      await rm(path, { recursive: true });
    },
  };
}

/** Prints why a test shows nothing. In CI that is a failure. */
export function skipped(why: string): void {
  if (process.env['CI'] === 'true') throw new Error(why);
  process.stderr.write(`skipped: ${why}\n`);
}

/** Runs `work` on a small file system, or prints why the test shows nothing. */
export async function withSmallDisk(
  sizeBytes: number,
  work: (path: string) => Promise<void>,
  mountPoint?: string,
): Promise<void> {
  const disk = await mountSmallDisk(sizeBytes, mountPoint);
  if (typeof disk === 'string') {
    skipped(disk);
    return;
  }
  try {
    await work(disk.path);
  } finally {
    await disk.unmount();
  }
}
