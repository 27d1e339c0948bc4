import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { StartupError } from './startup.error.js';

const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;

/**
 * An exclusive lock on a file, held by whoever has its descriptor open: this process, and any child given it.
 */
export interface FileLock {
  /**
   * Pass it to a child (`stdio: [..., lock.fd]`) and the child, with its own children, holds the lock as
   * well.
   */
  readonly fd: number;
  /**
   * Replaces the file's content: a note for people and for messages, no part of the lock. On a full disk it
   * is lost. @throws other errors of the file system
   */
  note(text: string): void;
  /**
   * Lets this process's hold go. The file stays: removing it would let two processes lock two different
   * files.
   */
  release(): void;
}

/**
 * Takes the kernel's lock (`flock(2)`) on `path`, which is created where it is missing, or answers undefined
 * when somebody has it. The kernel frees it when the last holder is gone, however it went: there is no stale
 * lock, no process id to be recycled and no moment between looking and taking. Works between containers of
 * one host.
 *
 * Rejects with the file system's error when the file can't be opened, with a {@link StartupError} where files
 * can't be locked.
 */
export async function tryFileLock(path: string): Promise<FileLock | undefined> {
  const flock = await loadFlock();
  const fd = openSync(path, 'a+', 0o600);
  const errno = flock(fd, LOCK_EXCLUSIVE | LOCK_NONBLOCKING);
  if (errno === undefined) return new OpenFileLock(fd);
  closeSync(fd);
  if (errno === 'EAGAIN' || errno === 'EWOULDBLOCK') return undefined;
  throw new StartupError(`${path} can't be locked (${errno}): put DATA_DIR on a local file system.`);
}

class OpenFileLock implements FileLock {
  private open = true;

  constructor(readonly fd: number) {}

  note(text: string): void {
    try {
      ftruncateSync(this.fd);
      writeSync(this.fd, text);
    } catch (error) {
      // A full disk must not keep Berth from starting.
      if (!['ENOSPC', 'EDQUOT'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
    }
  }

  release(): void {
    if (!this.open) return;
    this.open = false;
    closeSync(this.fd);
  }
}

/** Answers the name of the error, or undefined for success. */
type Flock = (fd: number, operation: number) => string | undefined;

let loaded: Promise<Flock> | undefined;

/** Node has no file locks; koffi, which hashing needs anyway, reaches the one of the C library. */
function loadFlock(): Promise<Flock> {
  loaded ??= importFlock();
  return loaded;
}

async function importFlock(): Promise<Flock> {
  try {
    const { default: koffi } = await import('koffi');
    // What koffi binds has the type of the C declaration beside it.
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
    throw new StartupError('This platform has no file locks, so Berth can not guard DATA_DIR on it.', {
      cause,
    });
  }
}
