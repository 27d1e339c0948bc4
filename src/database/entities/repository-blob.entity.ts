import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { BlobEntity } from './blob.entity.js';
import { NOW } from './column-types.js';
import { RepositoryEntity } from './repository.entity.js';

/** The link that makes a blob visible in a repository. */
@Entity('repository_blobs')
@Index('repository_blobs_blob_id_repository_id_idx', ['blobId', 'repositoryId'])
@Index(
  'repository_blobs_candidate_since_repository_id_blob_id_idx',
  ['candidateSince', 'repositoryId', 'blobId'],
  { where: 'candidate_since IS NOT NULL' },
)
export class RepositoryBlobEntity {
  @PrimaryColumn({ type: 'bigint', name: 'repository_id', primaryKeyConstraintName: 'repository_blobs_pkey' })
  repositoryId: string;

  @PrimaryColumn({ type: 'bigint', name: 'blob_id', primaryKeyConstraintName: 'repository_blobs_pkey' })
  blobId: string;

  @ManyToOne(() => RepositoryEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'repository_blobs_repository_id_fkey' })
  repository: Relation<RepositoryEntity>;

  @ManyToOne(() => BlobEntity)
  @JoinColumn({ name: 'blob_id', foreignKeyConstraintName: 'repository_blobs_blob_id_fkey' })
  blob: Relation<BlobEntity>;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  /**
   * Since when it may be garbage; null: a manifest needs it. Set at birth, so that a push pays an index entry
   * and no statement, and by triggers when references go (migration `Candidates`). `-infinity`: an operator
   * purged the last manifest that needed it.
   */
  @Column({ ...NOW, name: 'candidate_since', nullable: true })
  candidateSince: Date | null;

  /** Set if the blob was deleted, and deleted manifests that can be restored still need it. */
  @Column({ type: 'timestamptz', name: 'hidden_at', nullable: true })
  hiddenAt: Date | null;
}
