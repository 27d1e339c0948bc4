import { Column, Entity, Index, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { BYTES, BYTEWISE, NOW } from './column-types.js';

/** Content in the storage: one row and one object per content. */
@Entity('blobs')
@Unique('blobs_object_key_key', ['objectKey'])
@Index('blobs_created_at_idx', ['createdAt'])
@Index('blobs_candidate_since_id_idx', ['candidateSince', 'id'], { where: 'candidate_since IS NOT NULL' })
export class BlobEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'blobs_pkey' })
  id: string;

  @Column({ ...BYTES, name: 'size_bytes' })
  sizeBytes: number;

  /** The key of the object in the storage. The driver chose it; it can't be derived from the digest. */
  @Column({ ...BYTEWISE, name: 'object_key' })
  objectKey: string;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  /** Since when it may be garbage; null: a repository links it. Set by a trigger (migration `Candidates`). */
  @Column({ type: 'timestamptz', name: 'candidate_since', nullable: true })
  candidateSince: Date | null;
}
