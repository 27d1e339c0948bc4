import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page } from '../../database/page.js';
import type { UploadEventKind } from '../../events/events.js';
import type { UploadId } from '../../oci/upload-id.js';
import type { Sorted } from '../paging/sorted-cursor.js';
import { eventStatement, type EventsRequest } from './event-statement.js';

export interface UploadEvent extends Sorted {
  readonly id: string;
  readonly kind: UploadEventKind;
  readonly offsetBytes: number;
  readonly replica: string;
  readonly actor: string | null;
  readonly clientAddress: string | null;
  readonly durationSeconds: number | null;
  readonly detail: string | null;
  readonly happenedAt: Date;
}

/** `pg` returns `float8` as a number. */
const COLUMNS = `
  e.kind, e.offset_bytes::float8 AS "offsetBytes", e.replica, e.actor, e.client_address AS "clientAddress",
  e.duration_ms::float8 / 1000 AS "durationSeconds", e.detail, e.happened_at AS "happenedAt"`;

const OF_UPLOAD = eventStatement(COLUMNS, 'upload_events', 'e.upload_id = $1', 1);

/** Reads events of uploads for the admin API. */
@Injectable()
export class UploadEventsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** The events of an upload, newest first, also after its end. An unknown upload has none. */
  ofUpload(id: UploadId, request: EventsRequest): Promise<Page<UploadEvent>> {
    return this.lists.page(OF_UPLOAD.sql, OF_UPLOAD.parameters([id], request), request.limit);
  }
}
