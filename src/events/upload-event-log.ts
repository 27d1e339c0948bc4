import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import { countedAgo } from '../maintenance/upload-clock.js';
import type { UploadId } from '../oci/upload-id.js';
import type { UploadEventKind } from './events.js';
import { originParameters, type UploadEventOrigin } from './recording-event.js';

/** During a database outage requests can fail faster than events can be written. */
const MAX_PENDING = 100;

interface UploadEvent {
  readonly id: UploadId;
  readonly offsetBytes: number;
  readonly origin: UploadEventOrigin;
  readonly detail?: string | null;
}

/** Events that are not part of a change of a row (those are written by `recordingEvent`). */
@Injectable()
export class UploadEventLog implements OnModuleDestroy {
  private readonly logger = new Logger(UploadEventLog.name);
  private readonly pending = new Set<Promise<void>>();

  constructor(private readonly dataSource: DataSource) {}

  /** The number of events that are being recorded. */
  get count(): number {
    return this.pending.size;
  }

  /** Records an event in the background. A failure is logged: an upload never fails because of its events. */
  record(kind: UploadEventKind, { id, offsetBytes, origin, detail = null }: UploadEvent): void {
    if (this.pending.size >= MAX_PENDING) return;
    const insert = queryRows(
      this.dataSource.manager,
      `INSERT INTO upload_events (upload_id, kind, offset_bytes, detail, replica, actor, client_address,
                                  duration_ms)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [id, kind, offsetBytes, detail, ...originParameters(origin)],
    );
    const written = insert
      .then(() => undefined)
      .catch((error: unknown) => this.logger.debug({ err: error }, 'could not record an upload event'))
      .finally(() => this.pending.delete(written));
    this.pending.add(written);
  }

  /** Deletes at most `limit` events older than `retentionSeconds`. Returns how many. */
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

  /** Waits for the events that are being written. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.pending);
  }
}
