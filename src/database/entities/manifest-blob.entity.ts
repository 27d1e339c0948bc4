import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { ManifestEntity } from './manifest.entity.js';
import { RepositoryBlobEntity } from './repository-blob.entity.js';

/**
 * A config, a layer, or a blob that an index lists. While this row exists, the blob's link can't be deleted.
 */
@Entity('manifest_blobs')
@Index('manifest_blobs_blob_id_repository_id_idx', ['blobId', 'repositoryId'])
export class ManifestBlobEntity {
  @PrimaryColumn({ type: 'bigint', name: 'manifest_id', primaryKeyConstraintName: 'manifest_blobs_pkey' })
  manifestId: string;

  @PrimaryColumn({ type: 'bigint', name: 'blob_id', primaryKeyConstraintName: 'manifest_blobs_pkey' })
  blobId: string;

  /** The manifest's repository. A trigger sets it for rows of older replicas. */
  @Column({ type: 'bigint', name: 'repository_id' })
  repositoryId: string;

  @ManyToOne(() => ManifestEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'manifest_id', foreignKeyConstraintName: 'manifest_blobs_manifest_id_fkey' })
  manifest: Relation<ManifestEntity>;

  @ManyToOne(() => RepositoryBlobEntity)
  @JoinColumn([
    {
      name: 'repository_id',
      referencedColumnName: 'repositoryId',
      foreignKeyConstraintName: 'manifest_blobs_repository_id_blob_id_fkey',
    },
    {
      name: 'blob_id',
      referencedColumnName: 'blobId',
      foreignKeyConstraintName: 'manifest_blobs_repository_id_blob_id_fkey',
    },
  ])
  link: Relation<RepositoryBlobEntity>;
}
