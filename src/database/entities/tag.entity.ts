import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { BYTES, NOW } from './column-types.js';
import { ManifestEntity } from './manifest.entity.js';
import { RepositoryEntity } from './repository.entity.js';

/** A tag: a name in a repository that points at one of its manifests. */
@Entity('tags')
@Index('tags_manifest_id_name_idx', ['manifestId', 'name'])
@Index('tags_repository_id_updated_at_name_idx', ['repositoryId', 'updatedAt', 'name'], {
  where: `updated_at >= '-infinity'`,
})
@Index('tags_repository_id_image_size_bytes_name_idx', ['repositoryId', 'imageSizeBytes', 'name'], {
  where: 'image_size_bytes >= 0',
})
export class TagEntity {
  @PrimaryColumn({ type: 'bigint', name: 'repository_id', primaryKeyConstraintName: 'tags_pkey' })
  repositoryId: string;

  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'tags_pkey' })
  name: string;

  @Column({ type: 'bigint', name: 'manifest_id' })
  manifestId: string;

  @ManyToOne(() => RepositoryEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'tags_repository_id_fkey' })
  repository: Relation<RepositoryEntity>;

  @ManyToOne(() => ManifestEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'manifest_id', foreignKeyConstraintName: 'tags_manifest_id_fkey' })
  manifest: Relation<ManifestEntity>;

  /** A copy of the manifest's, for lists sorted by it. Triggers keep it up to date. */
  @Column({ ...BYTES, name: 'image_size_bytes', default: 0 })
  imageSizeBytes: number;

  @Column({ ...NOW, name: 'updated_at' })
  updatedAt: Date;

  @Column({ type: 'text', name: 'updated_by', nullable: true })
  updatedBy: string | null;
}
