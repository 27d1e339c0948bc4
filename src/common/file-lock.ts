import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { StartupError } from './startup.error.js';

const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;

/** An exclusive lock on a file. Each process that has its descriptor open holds it. */
export interface FileLock {
  /** A child that inherits it (`stdio: [..., lock.fd]`) holds the lock, too, and so do its children. */
  readonly fd: number;
  /**
   * Replaces the file's content, which is only for messages. A full disk is ignored.
   *
   * @throws other errors of the file system
   */
  note(text: string): void;
  /** Idempotent. The file stays: if it were removed, two processes could lock two different files. */
  release(): void;
}

/**
 * Takes the kernel's lock (`flock(2)`) on `path`, which is created if missing. Returns undefined if another
 * process holds it. The kernel releases the lock when its last holder ends, in whatever way, so there are no
 * stale locks. Works between containers of one host.
 *
 * @throws StartupError if files can't be locked; the file system's error if the file can't be opened
 */
export async function tryFileLock(path: string): Promise<FileLock | undefined> {
  const flock = await loadFlock();
  const fd = openSync(path, 'a+', 0o600);
  const errno = flock(fd, LOCK_EXCLUSIVE | LOCK_NONBLOCKING);
  if (errno === undefined) return new OpenFileLock(fd);
  closeSync(fd);
  if (errno === 'EAGAIN' || errno === 'EWOULDBLOCK') return undefined;
  throw new StartupError(
    `${path} can't be locked (${errno}): set DATA_DIR to a directory on a local file system.`,
  );
}

class OpenFileLock implements FileLock {
  private open = true;

  constructor(readonly fd: number) {}

  note(text: string): void {
    try {
      ftruncateSync(this.fd);
      writeSync(this.fd, text);
    } catch (error) {
      // Berth must start on a full disk.
      if (!['ENOSPC', 'EDQUOT'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
    }
  }

  release(): void {
    if (!this.open) return;
    this.open = false;
    closeSync(this.fd);
  }
}

/** Returns the name of the error, or undefined for success. */
type Flock = (fd: number, operation: number) => string | undefined;

let loaded: Promise<Flock> | undefined;

/** Node has no file locks. koffi, which hashing needs too, calls the C library. */
function loadFlock(): Promise<Flock> {
  loaded ??= importFlock();
  return loaded;
}

async function importFlock(): Promise<Flock> {
  try {
    const { default: koffi } = await import('koffi');
    // The type is that of the C declaration.
    const native = koffi.load(null).func('int flock(int, int)') as unknown as (
      fd: number,
      op: number,
    ) => number;
    const { errno: codes } = koffi.os;
    return (fd, operation) => {
      if (native(fd, operation) === 0) return undefined;
      const code = koffi.errno();
      return Object.keys(codes).find((name) => codes[name] === code) ?? `errno ${code}`;
    };
  } catch (cause) {
    throw new StartupError('Berth needs file locks to protect DATA_DIR, and this platform has none.', {
      cause,
    });
  }
}
