import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { UploadId } from '../oci/upload-id.js';
import { countedAgo } from '../maintenance/upload-clock.js';
import { type EventOrigin, type UploadEventKind, whoParameters } from './upload-events.js';

/** While the database is away, requests fail faster than their events can be written. */
const MAX_PENDING = 100;

interface UploadEvent {
  readonly id: UploadId;
  readonly offsetBytes: number;
  readonly who: EventOrigin;
  readonly detail?: string | null;
}

/** The events that no change of a row leaves: see `leavingEvent` for the others. */
@Injectable()
export class UploadEventLog implements OnModuleDestroy {
  private readonly logger = new Logger(UploadEventLog.name);
  private readonly pending = new Set<Promise<void>>();

  constructor(private readonly dataSource: DataSource) {}

  /** Writes an event, without anybody waiting for it: an upload doesn't fail because its story can't be told. */
  note(kind: UploadEventKind, { id, offsetBytes, who, detail = null }: UploadEvent): void {
    if (this.pending.size >= MAX_PENDING) return;
    const insert = queryRows(
      this.dataSource.manager,
      `INSERT INTO upload_events (upload_id, kind, offset_bytes, detail, replica, actor, client_address, duration_ms)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [id, kind, offsetBytes, detail, ...whoParameters(who)],
    );
    const written = insert
      .then(() => undefined)
      .catch((error: unknown) => this.logger.debug({ err: error }, 'an event of an upload was not written'))
      .finally(() => this.pending.delete(written));
    this.pending.add(written);
  }

  /** Removes events that are older than that, `limit` at the most. Answers how many. */
  async prune(retentionSeconds: number, limit: number): Promise<number> {
    const rows = await queryRows(
      this.dataSource.manager,
      `DELETE FROM upload_events
        WHERE id = ANY (ARRAY(SELECT id FROM upload_events
                               WHERE happened_at < ${countedAgo('$1')}
                               ORDER BY happened_at LIMIT $2))
        RETURNING id`,
      [retentionSeconds, limit],
    );
    return rows.length;
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.pending);
  }
}
