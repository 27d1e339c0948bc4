import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface ChildEnd {
  readonly ok: boolean;
  /** `exit code 1`, `signal SIGKILL`, or the error of a child that could not be started. */
  readonly how: string;
}

/** Resolves when the child has ended and its output was read, or could not be started. Never rejects. */
export function childEnd(child: ChildProcess): Promise<ChildEnd> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ ok: false, how: error.message }));
    child.once('close', (code, signal) =>
      resolve({ ok: code === 0, how: signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}` }),
    );
  });
}

/** Calls `line` with each line of the stream. Errors of the stream are ignored. */
export function eachLine(stream: Readable | null, line: (text: string) => void): void {
  if (!stream) return;
  stream.on('error', () => undefined);
  createInterface({ input: stream }).on('line', line);
}
