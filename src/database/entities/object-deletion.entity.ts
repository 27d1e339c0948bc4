import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { BYTES, BYTEWISE } from './column-types.js';

/** An object of the storage that no row needs any more. */
@Entity('object_deletions')
@Index('object_deletions_due_at_idx', ['dueAt'])
export class ObjectDeletionEntity {
  @PrimaryColumn({
    type: 'text',
    collation: 'C',
    name: 'object_key',
    primaryKeyConstraintName: 'object_deletions_pkey',
  })
  objectKey: string;

  @Column({ ...BYTES, name: 'size_bytes' })
  sizeBytes: number;

  /** The sha256 digest of its content. */
  @Column(BYTEWISE)
  digest: string;

  /** Not deleted before, so that pulls in progress can finish. Later after each failure. */
  @Column({ type: 'timestamptz', name: 'due_at' })
  dueAt: Date;

  @Column({ type: 'integer', default: 0 })
  attempts: number;

  @Column({ type: 'text', name: 'last_error', nullable: true })
  lastError: string | null;
}
