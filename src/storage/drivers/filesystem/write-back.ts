import type { FileHandle } from 'node:fs/promises';

/** What may lie in the system's memory before it is worth a trip to the disk. */
export const WRITE_BACK_BYTES = 8 * 1024 * 1024;

/** How many files are written back at the same time: more would only queue at the disk, and hold threads that others need. */
const MOST_AT_ONCE = 1;

let underWay = 0;

/**
 * Has the system write to the disk what has been written to a file, while more comes in: by itself it would begin half a minute
 * later, and the flush before an acknowledgement would find everything still to be done. Acknowledges nothing.
 *
 *     writes   ████████████████████████████
 *     disk          ▒▒▒▒▒▒ ▒▒▒▒▒▒▒ ▒▒▒▒▒▒▒ ▓▓ flush
 */
export class WriteBack {
  private pendingBytes = 0;
  private running: Promise<void> | undefined;
  private failure: { readonly reason: unknown } | undefined;

  constructor(private readonly file: Pick<FileHandle, 'datasync'>) {}

  /** To be told of what was written. Never waits. */
  written(bytes: number): void {
    this.pendingBytes += bytes;
    const isWorthIt = this.pendingBytes >= WRITE_BACK_BYTES;
    if (isWorthIt && this.running === undefined && underWay < MOST_AT_ONCE) this.begin();
  }

  /**
   * Settles when nothing is under way. Rejects, again and again, where the disk refused bytes: the system tells of that once, and the
   * next flush would succeed without them.
   */
  async settled(): Promise<void> {
    await this.running;
    if (this.failure !== undefined) throw this.failure.reason;
  }

  private begin(): void {
    this.pendingBytes = 0;
    underWay += 1;
    this.running = this.file
      .datasync()
      .catch((reason: unknown) => {
        this.failure ??= { reason };
      })
      .finally(() => {
        underWay -= 1;
        this.running = undefined;
      });
  }
}
