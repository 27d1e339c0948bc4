import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { settlesWithin } from '../common/settles-within.js';

/** What may wait to be written: more than a second of the access log of a busy process. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024;
/** What one write to a file takes. */
const FILE_WRITE_BYTES = 64 * 1024;
/**
 * PIPE_BUF on Linux: a pipe takes it whole or not at all, so the lines of processes that share one don't mix.
 */
const PIPE_WRITE_BYTES = 4096;
/** How long lines are gathered: one write of many costs less, and wakes up the reader less often. */
const GATHER_MS = 2;
/** Until a full pipe is tried again. A reader that is just busy makes room within a millisecond. */
const FULL_PAUSE_MS = { first: 1, most: 64 };
/** Until a write that failed for any other reason, such as a full disk, is tried again. */
const FAILED_PAUSE_MS = 1_000;
/** How long an end of the process waits for a reader. */
const FLUSH_PATIENCE_MS = 1_000;
const EXIT_PATIENCE_MS = 500;

/** Lines that were not written. */
export interface DroppedLines {
  readonly count: number;
  /** When the first and the last of them should have been written. */
  readonly since: Date;
  readonly until: Date;
  /** Why the lines before them could not be written; nothing where writing was just too slow. */
  readonly cause: NodeJS.ErrnoException | undefined;
}

interface Chunk {
  text: string;
  bytes: number;
}

/**
 * Writes lines to a descriptor such as standard output, and is never the reason why a process stops working:
 * nothing throws, nothing blocks, and the memory is bounded. A write that fails (full disk, reader gone or
 * stopped, dead terminal) is repeated after a pause. Lines that come when {@link MOST_WAITING_BYTES} wait
 * already are dropped, and so are all that follow until nothing waits any more; then the drop is reported.
 *
 * Lines are written in their order and whole: one that a full disk cut in two is finished before the next one
 * begins. With several processes on one file, a line of another process may come in between.
 *
 * Not pino's own destination, sonic-boom: it throws what it can't write as an uncaught exception, keeps all
 * lines in memory, and tries to write them for ever when the process exits.
 */
export class BoundedOutput {
  private readonly fd: number;
  private readonly isFile: boolean;
  private readonly waiting: Chunk[] = [];
  private waitingBytes = 0;
  /** What is left of the chunk that was taken from `waiting`. */
  private current: Buffer | undefined;
  private state: 'idle' | 'writing' | 'pausing' | 'exiting' = 'idle';
  private pause: NodeJS.Timeout | undefined;
  private fullPauseMs = FULL_PAUSE_MS.first;
  private failure: NodeJS.ErrnoException | undefined;
  private dropped: DroppedLines | undefined;
  private report: (dropped: DroppedLines) => void = () => undefined;
  private readonly flushes: (() => void)[] = [];

  constructor(
    descriptor: number,
    private readonly mostWaitingBytes: number = MOST_WAITING_BYTES,
  ) {
    this.isFile = fstatSync(descriptor).isFile();
    // A file's position belongs to all that write to it: it is used as it is.
    this.fd = this.isFile ? descriptor : openNonBlocking(descriptor);
  }

  /** Calls `report` once there is room again after a drop; what it writes precedes all later lines. */
  onDropped(report: (dropped: DroppedLines) => void): void {
    this.report = report;
  }

  /** @param line with its line end; several lines in one call stay together. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.dropped !== undefined || this.waitingBytes + bytes > this.mostWaitingBytes) {
      this.drop();
      return;
    }
    const last = this.waiting.at(-1);
    if (last !== undefined && last.bytes + bytes <= (this.isFile ? FILE_WRITE_BYTES : PIPE_WRITE_BYTES)) {
      last.text += line;
      last.bytes += bytes;
    } else {
      this.waiting.push({ text: line, bytes });
    }
    this.waitingBytes += bytes;
    if (this.state === 'idle') this.start();
  }

  /** Settles, never rejects, when all is written or can't be: after a second at the latest. */
  async flush(): Promise<void> {
    const settled = new Promise<void>((resolve) => this.flushes.push(resolve));
    if (this.state !== 'writing') this.start();
    await settlesWithin(settled, FLUSH_PATIENCE_MS);
  }

  /**
   * Writes what waits, on the way out of the process: gives up where it can't be written, after half a second
   * where the reader has stopped. What a thread of Node's is writing to a file is finished by Node.
   */
  writeLast(): void {
    if (this.isFile && this.state === 'writing') this.current = undefined;
    this.state = 'exiting';
    const deadline = performance.now() + EXIT_PATIENCE_MS;
    while (isFull(this.writeAll()) && performance.now() < deadline) sleepSync(FULL_PAUSE_MS.first);
  }

  private start(): void {
    clearTimeout(this.pause);
    this.state = 'writing';
    setTimeout(() => {
      if (this.state !== 'writing') return;
      if (this.isFile) this.writeToFile();
      else this.settle(this.writeAll());
    }, GATHER_MS);
  }

  /**
   * In a thread: a disk that is slow, for all the layers that are written to it, must not stop the event
   * loop.
   */
  private writeToFile(): void {
    const bytes = this.take();
    if (bytes === undefined) {
      this.settle();
      return;
    }
    write(this.fd, bytes, (error, written) => {
      if (this.state !== 'writing') return;
      if (error) {
        this.settle(error);
      } else {
        this.advance(written);
        this.writeToFile();
      }
    });
  }

  /** Writes all that the descriptor takes now. Returns what kept it from writing the rest. */
  private writeAll(): NodeJS.ErrnoException | undefined {
    for (let bytes = this.take(); bytes !== undefined; bytes = this.take()) {
      try {
        this.advance(writeSync(this.fd, bytes));
      } catch (error) {
        return error as NodeJS.ErrnoException;
      }
    }
    return undefined;
  }

  private settle(failure?: NodeJS.ErrnoException): void {
    this.failure = failure;
    this.state = failure === undefined ? 'idle' : 'pausing';
    if (failure !== undefined) {
      // It doesn't keep the process alive: `writeLast` tries once more.
      const pauseMs = isFull(failure) ? this.fullPauseMs : FAILED_PAUSE_MS;
      this.pause = setTimeout(() => this.start(), pauseMs).unref();
      this.fullPauseMs = Math.min(2 * this.fullPauseMs, FULL_PAUSE_MS.most);
    }
    if (!isFull(failure)) for (const end of this.flushes.splice(0)) end();
  }

  /** What is to be written next. When nothing waits any more a drop is reported, which adds a line. */
  private take(): Buffer | undefined {
    const { dropped } = this;
    if (this.current === undefined && this.waiting.length === 0 && dropped !== undefined) {
      this.dropped = undefined;
      this.report(dropped);
    }
    this.current ??= encode(this.waiting.shift());
    return this.current;
  }

  private advance(written: number): void {
    this.failure = undefined;
    this.fullPauseMs = FULL_PAUSE_MS.first;
    this.waitingBytes -= written;
    const rest = this.current?.subarray(written);
    this.current = rest?.length === 0 ? undefined : rest;
  }

  private drop(): void {
    const now = new Date();
    const { count = 0, since = now, cause = this.failure } = this.dropped ?? {};
    this.dropped = { count: count + 1, since, until: now, cause };
  }
}

function encode(chunk: Chunk | undefined): Buffer | undefined {
  return chunk === undefined ? undefined : Buffer.from(chunk.text);
}

/**
 * Opens a pipe or a terminal once more, for this process alone, so that a write to it fails instead of
 * waiting for a reader. What can't be opened so (a socket, another user's terminal, anything on macOS) is
 * used as it is; pipes and sockets don't block then either once Node has opened `process.stdout`, as
 * `main.ts` has it do.
 */
function openNonBlocking(descriptor: number): number {
  try {
    return openSync(`/dev/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return descriptor;
  }
}

function isFull(error: NodeJS.ErrnoException | undefined): boolean {
  return error?.code === 'EAGAIN';
}

function sleepSync(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
