import type { Logger } from 'pino';

/** What a start has opened so far, to be closed in the reverse order: at the stop, or when a later step fails. */
export class Opened {
  private readonly undoings: (() => Promise<void> | void)[] = [];

  add(undo: () => Promise<void> | void): void {
    this.undoings.push(undo);
  }

  /** Closes each thing, whatever became of the one before. @throws AggregateError of all that failed. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.undoings.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'not everything could be closed');
  }

  /** Runs a start that adds to this; where it fails, what it had opened is closed before the failure is thrown. */
  async orUndo<T>(logger: Logger, start: () => Promise<T>): Promise<T> {
    try {
      return await start();
    } catch (error) {
      await this.close().catch((failure: unknown) =>
        logger.error({ err: failure }, 'while giving up the start'),
      );
      throw error;
    }
  }
}
