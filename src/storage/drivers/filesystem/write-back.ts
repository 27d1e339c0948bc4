import type { FileHandle } from 'node:fs/promises';

/** Bytes written since the last write-back that make another one worthwhile. */
export const WRITE_BACK_BYTES = 8 * 1024 * 1024;

/** Files written back concurrently. More would only queue at the disk and block threads of the pool. */
const MAX_CONCURRENT = 1;

let running = 0;

/**
 * Writes a file's bytes to the disk while more arrive. Otherwise the system would start half a minute later,
 * and the flush before an acknowledgement would have to write everything. Acknowledges nothing.
 *
 *     writes   ████████████████████████████
 *     disk          ▒▒▒▒▒▒ ▒▒▒▒▒▒▒ ▒▒▒▒▒▒▒ ▓▓ flush
 */
export class WriteBack {
  private pendingBytes = 0;
  private current: Promise<void> | undefined;
  private failure: { readonly reason: unknown } | undefined;

  constructor(private readonly file: Pick<FileHandle, 'datasync'>) {}

  /** Call it after each write. Never waits. */
  written(bytes: number): void {
    this.pendingBytes += bytes;
    const isDue = this.pendingBytes >= WRITE_BACK_BYTES;
    if (isDue && this.current === undefined && running < MAX_CONCURRENT) this.start();
  }

  /**
   * Settles when no write-back is in progress. Once a write-back has failed, every call rejects: the system
   * reports a lost write only once, and the next flush would succeed without these bytes.
   */
  async settled(): Promise<void> {
    await this.current;
    if (this.failure !== undefined) throw this.failure.reason;
  }

  private start(): void {
    this.pendingBytes = 0;
    running += 1;
    this.current = this.file
      .datasync()
      .catch((reason: unknown) => {
        this.failure ??= { reason };
      })
      .finally(() => {
        running -= 1;
        this.current = undefined;
      });
  }
}
