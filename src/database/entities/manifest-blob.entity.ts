import { Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { BlobEntity } from './blob.entity.js';
import { ManifestEntity } from './manifest.entity.js';

/** A config or a layer that a manifest refers to. */
@Entity('manifest_blobs')
@Index('manifest_blobs_blob_id_idx', ['blobId'])
export class ManifestBlobEntity {
  @PrimaryColumn({ type: 'bigint', name: 'manifest_id', primaryKeyConstraintName: 'manifest_blobs_pkey' })
  manifestId: string;

  @PrimaryColumn({ type: 'bigint', name: 'blob_id', primaryKeyConstraintName: 'manifest_blobs_pkey' })
  blobId: string;

  @ManyToOne(() => ManifestEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'manifest_id', foreignKeyConstraintName: 'manifest_blobs_manifest_id_fkey' })
  manifest: Relation<ManifestEntity>;

  @ManyToOne(() => BlobEntity)
  @JoinColumn({ name: 'blob_id', foreignKeyConstraintName: 'manifest_blobs_blob_id_fkey' })
  blob: Relation<BlobEntity>;
}
