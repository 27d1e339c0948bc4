import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface ChildEnd {
  readonly ok: boolean;
  /** For a sentence: `exit code 1`, `signal SIGKILL`, or the error that kept the child from starting. */
  readonly how: string;
}

/** Settles, and never rejects, when the child has ended and everything it wrote was read, or when it couldn't be started. */
export function childEnd(child: ChildProcess): Promise<ChildEnd> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ ok: false, how: error.message }));
    child.once('close', (code, signal) =>
      resolve({ ok: code === 0, how: signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}` }),
    );
  });
}

/** Calls `line` with each line of the stream. A stream that breaks just ends. */
export function eachLine(stream: Readable | null, line: (text: string) => void): void {
  if (!stream) return;
  stream.on('error', () => undefined);
  createInterface({ input: stream }).on('line', line);
}
