import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { BYTES } from './column-types.js';

/**
 * Something that happened to an upload. `src/events/events.ts` says what the kinds mean. Without a foreign
 * key: events outlive the session's row, and only their age removes them.
 */
@Entity('upload_events')
@Index('upload_events_upload_id_happened_at_id_idx', ['uploadId', 'happenedAt', 'id'])
@Index('upload_events_happened_at_idx', ['happenedAt'])
export class UploadEventEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'upload_events_pkey' })
  id: string;

  @Column({ type: 'uuid', name: 'upload_id' })
  uploadId: string;

  @Column({ type: 'text' })
  kind: string;

  /** Bytes stored at that time, as known to the process that wrote the event. */
  @Column({ ...BYTES, name: 'offset_bytes' })
  offsetBytes: number;

  /** The process in which it happened. */
  @Column({ type: 'text' })
  replica: string;

  /** The caller; null if unknown, or without a request. */
  @Column({ type: 'text', nullable: true })
  actor: string | null;

  @Column({ type: 'text', name: 'client_address', nullable: true })
  clientAddress: string | null;

  /** Since the request acquired the session; null if none did. */
  @Column({ ...BYTES, name: 'duration_ms', nullable: true })
  durationMs: number | null;

  @Column({ type: 'text', nullable: true })
  detail: string | null;

  @Column({ type: 'timestamptz', name: 'happened_at', default: () => 'clock_timestamp()' })
  happenedAt: Date;
}
