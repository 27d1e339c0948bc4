import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

/** A descriptor that can't be written to, as a process may be given it for standard output. */
export interface BadOutput {
  readonly fd: number;
  close(): void;
}

/** Every write fails with ENOSPC. */
export function fullDisk(): BadOutput {
  return owned(openSync('/dev/full', 'w'));
}

/** A pipe that is full, and whose reader has stopped reading. @param directory where it is made. */
export function stoppedPipe(directory: string): BadOutput {
  const { reader, writer } = pipe(directory);
  fill(`/dev/fd/${writer}`);
  return owned(writer, reader);
}

/** A pipe whose reader is gone: every write fails with EPIPE. */
export function closedPipe(directory: string): BadOutput {
  const { reader, writer } = pipe(directory);
  closeSync(reader);
  return owned(writer);
}

/** A terminal that shows nothing any more, as a frozen window or a connection that was cut off. */
export function stoppedTerminal(): BadOutput {
  const { master, path, terminal } = openTerminal();
  fill(path);
  return owned(terminal, master);
}

/** A terminal that is gone: every write fails with EIO. */
export function deadTerminal(): BadOutput {
  const { master, terminal } = openTerminal();
  closeSync(master);
  return owned(terminal);
}

function owned(...descriptors: [number, ...number[]]): BadOutput {
  return { fd: descriptors[0], close: () => descriptors.forEach((fd) => closeSync(fd)) };
}

/** The two descriptors of a pipe. Reading doesn't wait for a writer, writing waits for a reader. */
export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

export function pipe(directory: string): Pipe {
  const path = join(directory, `pipe-${process.hrtime.bigint()}`);
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, 'w') };
}

/** Node can't open one. */
function openTerminal(): { master: number; path: string; terminal: number } {
  const library = koffi.load(null);
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  library.func('int unlockpt(int)')(master);
  const path = library.func('str ptsname(int)')(master) as string;
  return { master, path, terminal: openSync(path, constants.O_WRONLY | constants.O_NOCTTY) };
}

/**
 * Writes until nothing goes in any more, through a descriptor of its own: who is given the other one may have
 * to wait.
 */
function fill(path: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    for (;;) writeSync(fd, 'x');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  } finally {
    closeSync(fd);
  }
}
