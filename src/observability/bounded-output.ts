import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { settlesWithin } from '../common/settles-within.js';

/** Maximum size of the queue: more than a second of the access log of a busy process. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** Maximum size of one write to a file. */
const FILE_WRITE_BYTES = 64 * 1024;
/** PIPE_BUF on Linux: such a write to a pipe is atomic, so the lines of processes that share it don't mix. */
const PIPE_WRITE_BYTES = 4096;
/** How long lines are collected: one write of many lines is cheaper, for the reader too. */
const GATHER_MS = 2;
/** Pause before a full pipe is retried. A busy reader makes space within a millisecond. */
const FULL_PAUSE_MS = { first: 1, max: 64 };
/** Pause before a retry after any other failure, for example a full disk. */
const FAILED_PAUSE_MS = 1_000;
/** How long the end of the process waits for a reader. */
const FLUSH_TIMEOUT_MS = 1_000;
const EXIT_TIMEOUT_MS = 500;

/** Lines that were not written. */
export interface DroppedLines {
  readonly count: number;
  /** When the first and the last of them were dropped. */
  readonly since: Date;
  readonly until: Date;
  /** Why writing failed; undefined if it was only too slow. */
  readonly cause: NodeJS.ErrnoException | undefined;
}

interface Chunk {
  text: string;
  bytes: number;
}

/**
 * Writes lines to a descriptor, usually standard output. It never throws and never blocks, and its memory is
 * bounded. A write that fails (full disk, reader ended or stopped, dead terminal) is retried after a pause.
 * When {@link MAX_WAITING_BYTES} are queued, new lines are dropped until the queue is empty; then the drop is
 * reported.
 *
 * Lines are written whole and in order: one that a full disk cut in two is completed before the next one. If
 * several processes write to one file, a line of another process may come in between.
 *
 * Not pino's own destination, sonic-boom: it throws write errors as uncaught exceptions, keeps all lines in
 * memory, and retries forever when the process exits.
 */
export class BoundedOutput {
  private readonly fd: number;
  private readonly isFile: boolean;
  private readonly waiting: Chunk[] = [];
  private waitingBytes = 0;
  /** The rest of the chunk that was taken from `waiting`. */
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
    private readonly maxWaitingBytes: number = MAX_WAITING_BYTES,
  ) {
    this.isFile = fstatSync(descriptor).isFile();
    // All writers share a file's position, so a file is not opened again.
    this.fd = this.isFile ? descriptor : openNonBlocking(descriptor);
  }

  /** Calls `report` when the queue is empty after a drop. What it writes precedes all later lines. */
  onDropped(report: (dropped: DroppedLines) => void): void {
    this.report = report;
  }

  /** @param line with its newline; several lines in one call stay together. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.dropped !== undefined || this.waitingBytes + bytes > this.maxWaitingBytes) {
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

  /**
   * Resolves when everything was written, or can't be, within a second. Returns whether all of it was, the
   * latest lines included. Never rejects.
   */
  async flush(): Promise<boolean> {
    const isComplete = this.dropped === undefined;
    const settled = new Promise<void>((resolve) => this.flushes.push(resolve));
    if (this.state !== 'writing') this.start();
    await settlesWithin(settled, FLUSH_TIMEOUT_MS);
    return isComplete && this.waiting.length === 0 && this.current === undefined;
  }

  /**
   * Writes the queue when the process exits. Returns at the first failure, after half a second if the reader
   * has stopped. Node completes a write to a file that has begun in a thread.
   */
  writeLast(): void {
    if (this.isFile && this.state === 'writing') this.current = undefined;
    this.state = 'exiting';
    const deadline = performance.now() + EXIT_TIMEOUT_MS;
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

  /** In a thread: a disk that is slow because of many pushes must not block the event loop. */
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

  /** Writes as much as the descriptor takes now. Returns the error that stopped it. */
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
      // The timer doesn't keep the process alive: `writeLast` retries.
      const pauseMs = isFull(failure) ? this.fullPauseMs : FAILED_PAUSE_MS;
      this.pause = setTimeout(() => this.start(), pauseMs).unref();
      this.fullPauseMs = Math.min(2 * this.fullPauseMs, FULL_PAUSE_MS.max);
    }
    if (!isFull(failure)) for (const end of this.flushes.splice(0)) end();
  }

  /** The next bytes to write. When the queue is empty, reports a drop, which adds a line. */
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
 * Opens a pipe or a terminal again, only for this process, so that a write fails instead of waiting for a
 * reader. If that is not possible (a socket, another user's terminal, macOS), the descriptor is used. Pipes
 * and sockets don't block then either, because `main.ts` lets Node open `process.stdout`.
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
