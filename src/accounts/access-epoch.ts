import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { AccessChanges } from './access-changes.js';
import { RightsStore } from './rights.store.js';
import { Configuration } from '../config/configuration.js';
import { outlastOutage } from '../database/outlast-outage.js';

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
  private epoch = '';
  /** When the reading of `epoch` began, on the monotonic clock. */
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

  /** The epoch if it was read within the last second. */
  get fresh(): string | undefined {
    return performance.now() - this.readAt <= MAX_AGE_MS ? this.epoch : undefined;
  }

  /**
   * The epoch, not older than a second. If the database is unavailable, waits for it as uploads do.
   *
   * @throws what the statement throws when the wait is over.
   */
  async current(): Promise<string> {
    await outlastOutage(OUTAGE_MS, async () => {
      while (this.fresh === undefined) await this.read();
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
    this.epoch = await this.rights.epoch();
    this.readAt = began;
  }
}
