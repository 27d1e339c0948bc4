import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { settlesWithin } from '../../common/settles-within.js';
import { UnitOfWork } from '../../database/unit-of-work.js';

const MINUTE_MS = 60_000;
/** Uses are collected for so long before they are written. */
const DELAY_MS = 5_000;
const MAX_KNOWN = 10_000;
/** More uses wait for the next ones. */
const MAX_BATCH = 1_000;
const STOP_TIMEOUT_MS = 1_000;

/** Not through `AccessChanges`: the epoch does not depend on it. In the order of ids, against deadlocks. */
const WRITE = `
  UPDATE access_tokens t SET last_used_at = used.at
    FROM (SELECT id, at FROM access_tokens JOIN unnest($1::text[], $2::timestamptz[]) AS u (id, at) USING (id)
           WHERE last_used_at IS NULL OR last_used_at < at
           ORDER BY id FOR NO KEY UPDATE OF access_tokens) used
   WHERE t.id = used.id`;

/** Records when secrets were last used: to the minute, in the background, once a minute per secret. */
@Injectable()
export class SecretUses implements OnModuleDestroy {
  private readonly logger = new Logger(SecretUses.name);
  /** The last minute in which a secret was used, as far as it is known. */
  private readonly known = new LRUCache<string, number>({ max: MAX_KNOWN });
  private pending = new Map<string, Date>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly unitOfWork: UnitOfWork) {}

  add(id: string): void {
    const minute = Math.floor(Date.now() / MINUTE_MS);
    if (this.known.get(id) === minute || this.pending.size >= MAX_KNOWN) return;
    this.known.set(id, minute);
    this.pending.set(id, new Date(minute * MINUTE_MS));
    this.timer ??= setTimeout(() => void this.flush(), DELAY_MS).unref();
  }

  async onModuleDestroy(): Promise<void> {
    await settlesWithin(this.flush(), STOP_TIMEOUT_MS);
  }

  /** Writes what is collected. A failure is logged: the next use of the secret is written again. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const uses = [...this.pending];
    this.pending = new Map();
    for (let start = 0; start < uses.length; start += MAX_BATCH) {
      const batch = uses.slice(start, start + MAX_BATCH);
      try {
        await this.unitOfWork.statement(WRITE, [batch.map(([id]) => id), batch.map(([, at]) => at)]);
      } catch (error) {
        this.logger.warn({ err: error }, 'the last use of secrets could not be written');
      }
    }
  }
}
