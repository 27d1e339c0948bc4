import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { NOW } from './column-types.js';
import { ManifestEntity } from './manifest.entity.js';
import { RepositoryEntity } from './repository.entity.js';

/** A tag: a name in a repository that points at one of its manifests. */
@Entity('tags')
@Index('tags_manifest_id_idx', ['manifestId'])
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

  @Column({ ...NOW, name: 'updated_at' })
  updatedAt: Date;

  @Column({ type: 'text', name: 'updated_by', nullable: true })
  updatedBy: string | null;
}
