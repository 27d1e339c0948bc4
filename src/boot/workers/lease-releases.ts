import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { settlesWithin } from '../../common/settles-within.js';

/**
 * A statement that a worker sent before it ended may run after its leases were released, and take another
 * lease. So they are released once more after this time; the statement takes milliseconds.
 */
const LATE_STATEMENT_MS = 2_000;

/** How long a stop waits for a database that does not respond. */
const RELEASE_TIMEOUT_MS = 2_000;

/** Releases the leases of workers that ended, so that other workers can resume their uploads in place. */
export class LeaseReleases {
  private readonly tasks = new Set<Promise<void>>();
  private readonly stopping = new AbortController();

  /** @param release releases the leases of a holder. */
  constructor(
    private readonly release: (holder: string) => Promise<void>,
    private readonly logger: Logger,
  ) {}

  /** Call it when the holder's process has ended: it writes nothing any more. */
  begin(holder: string): void {
    const task = this.releaseTwice(holder)
      .catch((error: unknown) =>
        this.logger.warn(
          { err: error },
          'the leases of a worker that ended could not be released: they will lapse',
        ),
      )
      .finally(() => this.tasks.delete(task));
    this.tasks.add(task);
  }

  /** Waits for what has begun. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await settlesWithin(Promise.all(this.tasks), RELEASE_TIMEOUT_MS);
  }

  private async releaseTwice(holder: string): Promise<void> {
    await this.release(holder);
    const { signal } = this.stopping;
    await delay(LATE_STATEMENT_MS, undefined, { signal }).catch(() => undefined);
    await this.release(holder);
  }
}
