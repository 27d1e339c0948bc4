import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

/** A broken descriptor for a process's standard output. */
export interface BadOutput {
  readonly fd: number;
  close(): void;
}

/** Every write fails with ENOSPC. */
export function fullDisk(): BadOutput {
  return owned(openSync('/dev/full', 'w'));
}

/** A full pipe whose reader has stopped reading. @param directory where it is made */
export function stoppedPipe(directory: string): BadOutput {
  const { reader, writer } = pipe(directory);
  fill(`/dev/fd/${writer}`);
  return owned(writer, reader);
}

/** A pipe without a reader: every write fails with EPIPE. */
export function closedPipe(directory: string): BadOutput {
  const { reader, writer } = pipe(directory);
  closeSync(reader);
  return owned(writer);
}

/** A terminal that reads nothing, like a frozen window or a broken connection. */
export function stoppedTerminal(): BadOutput {
  const { master, path, terminal } = openTerminal();
  fill(path);
  return owned(terminal, master);
}

/** A closed terminal: every write fails with EIO. */
export function deadTerminal(): BadOutput {
  const { master, terminal } = openTerminal();
  closeSync(master);
  return owned(terminal);
}

/** A terminal that is read. */
export interface ReadTerminal extends BadOutput {
  /** What was printed so far. */
  text(): string;
}

/** A terminal whose text is read. */
export function readTerminal(): ReadTerminal {
  const { master, terminal } = openTerminal(constants.O_NONBLOCK);
  const buffer = Buffer.alloc(64 * 1024);
  let printed = '';
  const drain = (): string => {
    try {
      for (let n = readSync(master, buffer); n > 0; n = readSync(master, buffer))
        printed += buffer.toString('utf8', 0, n);
    } catch (error) {
      // Nothing to read now, or nobody has it open any more.
      if (!['EAGAIN', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
    return printed;
  };
  return { ...owned(terminal, master), text: drain };
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
function openTerminal(flags = 0): { master: number; path: string; terminal: number } {
  const library = koffi.load(null);
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY | flags);
  library.func('int unlockpt(int)')(master);
  const path = library.func('str ptsname(int)')(master) as string;
  return { master, path, terminal: openSync(path, constants.O_WRONLY | constants.O_NOCTTY) };
}

/**
 * Writes until the pipe is full, through a second descriptor. Writers of the first one may have to wait then.
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
