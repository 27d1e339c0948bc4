import type { Logger } from 'pino';

/** Cleanups of what a start opened. They run in reverse order, at the stop or when a later step fails. */
export class CleanupStack {
  private readonly cleanups: (() => Promise<void> | void)[] = [];

  add(cleanup: () => Promise<void> | void): void {
    this.cleanups.push(cleanup);
  }

  /** Runs each cleanup, also after one that failed. @throws AggregateError of all failures. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const cleanup of this.cleanups.splice(0).reverse()) {
      try {
        await cleanup();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'some cleanups failed');
  }

  /** Runs `start`, which adds to this stack. If it fails, closes the stack and throws the failure. */
  async closeOnFailure<T>(logger: Logger, start: () => Promise<T>): Promise<T> {
    try {
      return await start();
    } catch (error) {
      await this.close().catch((failure: unknown) =>
        logger.error({ err: failure }, 'the cleanup after a failed start failed'),
      );
      throw error;
    }
  }
}
