import { Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { BlobEntity } from './blob.entity.js';

/** A tarsum that was verified for a blob. Several blobs can have the same. */
@Entity('blob_tarsums')
@Index('blob_tarsums_blob_id_idx', ['blobId'])
export class BlobTarsumEntity {
  /** `tarsum.v1+sha256:hex`, or `tarsum+sha256:hex` of version 0. */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'blob_tarsums_pkey' })
  tarsum: string;

  @PrimaryColumn({ type: 'bigint', name: 'blob_id', primaryKeyConstraintName: 'blob_tarsums_pkey' })
  blobId: string;

  @ManyToOne(() => BlobEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'blob_id', foreignKeyConstraintName: 'blob_tarsums_blob_id_fkey' })
  blob: Relation<BlobEntity>;
}
