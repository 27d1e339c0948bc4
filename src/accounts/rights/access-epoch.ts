import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { AccessChanges } from './access-changes.js';
import { RightsStore } from './rights.store.js';
import { Configuration } from '../../config/configuration.js';
import { outlastOutage } from '../../database/outlast-outage.js';

const READ_INTERVAL_MS = 500;

/** A change acts, at the latest, on every request that begins this long after it. */
const MAX_AGE_MS = 1_000;

/** How long requests wait for a database that is away: as long as uploads do. */
export const OUTAGE_MS = 20_000;

/**
 * The epoch of rights, which each change raises. It is read regularly, so that what is known about rights
 * stays valid without a statement per request. It needs no notifications: these can be lost.
 */
@Injectable()
export class AccessEpoch implements OnModuleInit, OnModuleDestroy {
  private text: string | undefined;
  /**
   * Rises whenever `text` differs from before. After a failover to a replica that lacks the last changes, the
   * database may have another epoch of the same text.
   */
  private epoch = 0;
  /** When the reading of `text` began, on the monotonic clock. */
  private readAt = -Infinity;
  private reading: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly rights: RightsStore,
    private readonly configuration: Configuration,
    changes: AccessChanges,
  ) {
    if (configuration.access === 'token') changes.onChange(() => this.readNew());
  }

  onModuleInit(): void {
    if (this.configuration.access !== 'token') return;
    this.timer = setInterval(() => {
      // A request that needs the epoch reports the failure.
      this.read().catch(() => undefined);
    }, READ_INTERVAL_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** The epoch if it was read within the last second. A later one is greater. */
  get fresh(): number | undefined {
    return performance.now() - this.readAt <= MAX_AGE_MS ? this.epoch : undefined;
  }

  /**
   * The epoch as of at most a second before this call. If the database is unavailable, waits for it as
   * uploads do.
   *
   * @throws what the statement throws when the wait is over.
   */
  async current(): Promise<number> {
    const oldest = performance.now() - MAX_AGE_MS;
    // Twice at most, however slow the database is: a second reading begins after this call.
    await outlastOutage(OUTAGE_MS, async () => {
      while (this.readAt < oldest) await this.read();
    });
    return this.epoch;
  }

  /** Reads the epoch again, in a reading that begins after this call. */
  private async readNew(): Promise<void> {
    await this.reading?.catch(() => undefined);
    await this.read();
  }

  /** Concurrent calls share one reading. */
  private read(): Promise<void> {
    this.reading ??= this.readOnce().finally(() => (this.reading = undefined));
    return this.reading;
  }

  private async readOnce(): Promise<void> {
    const began = performance.now();
    const text = await this.rights.epoch();
    if (text !== this.text) this.epoch += 1;
    this.text = text;
    this.readAt = began;
  }
}
