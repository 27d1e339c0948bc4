import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { BYTES, BYTEWISE, NOW } from './column-types.js';

export const UPLOAD_STATES = ['open', 'committing', 'committed', 'cancelled', 'expired'] as const;
export type UploadState = (typeof UPLOAD_STATES)[number];

/** An upload session. Only `src/uploads` writes it, with the fencing version. */
@Entity('uploads')
@Check('uploads_state_check', `state IN (${UPLOAD_STATES.map((state) => `'${state}'`).join(', ')})`)
@Check('uploads_offset_bytes_check', 'offset_bytes >= 0')
@Index('uploads_state_id_idx', ['state', 'id'])
@Index('uploads_lease_holder_idx', ['leaseHolder'], { where: 'lease_holder IS NOT NULL' })
@Index('uploads_unfinished_updated_at_idx', ['updatedAt'], { where: `state IN ('open', 'committing')` })
@Index('uploads_unfinished_repository_idx', ['repository'], { where: `state IN ('open', 'committing')` })
@Index('uploads_unfinished_created_at_id_idx', ['createdAt', 'id'], {
  where: `state IN ('open', 'committing')`,
})
@Index('uploads_unfinished_offset_bytes_id_idx', ['offsetBytes', 'id'], {
  where: `state IN ('open', 'committing')`,
})
@Index('uploads_over_holds_bytes_updated_at_idx', ['holdsBytes', 'updatedAt'], {
  where: `state NOT IN ('open', 'committing')`,
})
export class UploadEntity {
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'uploads_pkey' })
  id: string;

  /** The repository's name. Its row is created by the commit, so an abandoned push leaves none. */
  @Column(BYTEWISE)
  repository: string;

  @Column({ type: 'text', default: 'open' })
  state: UploadState;

  /** Bytes stored durably. */
  @Column({ ...BYTES, name: 'offset_bytes', default: 0 })
  offsetBytes: number;

  /** One midstate per algorithm, after `offset_bytes` bytes (see `src/uploads/hash/midstate.ts`). */
  @Column({ type: 'jsonb', name: 'midstates' })
  midstates: unknown[];

  /** The driver's state after `offset_bytes` bytes. */
  @Column({ type: 'jsonb', name: 'driver_state' })
  driverState: Record<string, unknown>;

  /** The sha256 midstate where the last body began, so that its repetition is recognised. */
  @Column({ type: 'jsonb', name: 'body_start', nullable: true })
  bodyStart: Record<string, unknown> | null;

  /**
   * The tarsums that the client announced or named, each of the first `lengthBytes` bytes (see
   * `src/uploads/hash/tarsum-state.ts`). Null: none.
   */
  @Column({ type: 'jsonb', nullable: true })
  tarsums: unknown[] | null;

  /** Fencing version. Each new writer increments it; a writer with an older version changes nothing. */
  @Column({ ...BYTES, default: 0 })
  version: number;

  /** The process that holds the lease, until `lease_expires_at`. Both are null without a lease. */
  @Column({ type: 'text', name: 'lease_holder', nullable: true })
  leaseHolder: string | null;

  @Column({ type: 'timestamptz', name: 'lease_expires_at', nullable: true })
  leaseExpiresAt: Date | null;

  /** The process that holds or last held the lease. */
  @Column({ type: 'text', name: 'last_holder', nullable: true })
  lastHolder: string | null;

  /** Whether a writer was fenced without releasing the session, so that it may still write to the storage. */
  @Column({ type: 'boolean', default: false })
  abandoned: boolean;

  /** Whether the storage may hold bytes of this session that no blob uses. The reaper deletes them. */
  @Column({ type: 'boolean', name: 'holds_bytes', default: true })
  holdsBytes: boolean;

  /**
   * The digest that the client sent to commit; set from `committing` on. In an open session: a request was
   * about to store its whole content under this digest, so there may be an object.
   */
  @Column({ ...BYTEWISE, nullable: true })
  digest: string | null;

  /** The id of the committed blob, which may have been collected since. */
  @Column({ type: 'bigint', name: 'blob_id', nullable: true })
  blobId: string | null;

  @Column({ type: 'text', name: 'created_by', nullable: true })
  createdBy: string | null;

  @Column({ type: 'text', name: 'client_address', nullable: true })
  clientAddress: string | null;

  @Column({ type: 'text', name: 'user_agent', nullable: true })
  userAgent: string | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  @Column({ ...NOW, name: 'updated_at' })
  updatedAt: Date;
}
