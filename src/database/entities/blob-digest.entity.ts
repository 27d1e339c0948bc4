import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { BlobEntity } from './blob.entity.js';

/** A digest of a blob. Every blob has a sha256 row, and one for each other algorithm that a client used. */
@Entity('blob_digests')
@Index('blob_digests_blob_id_idx', ['blobId'])
export class BlobDigestEntity {
  /** `algorithm:hex`. */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'blob_digests_pkey' })
  digest: string;

  @Column({ type: 'bigint', name: 'blob_id' })
  blobId: string;

  @ManyToOne(() => BlobEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'blob_id', foreignKeyConstraintName: 'blob_digests_blob_id_fkey' })
  blob: Relation<BlobEntity>;
}
