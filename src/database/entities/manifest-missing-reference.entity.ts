import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { ManifestEntity } from './manifest.entity.js';

/**
 * A digest that a sparse manifest refers to, but that was not in its repository at the push, or was deleted
 * later. So each reference of a manifest is a row. A blob that arrives later can't be deleted while the row
 * exists.
 */
@Entity('manifest_missing_references')
@Index('manifest_missing_references_digest_repository_id_idx', ['digest', 'repositoryId'])
export class ManifestMissingReferenceEntity {
  @PrimaryColumn({
    type: 'bigint',
    name: 'manifest_id',
    primaryKeyConstraintName: 'manifest_missing_references_pkey',
  })
  manifestId: string;

  @PrimaryColumn({
    type: 'text',
    collation: 'C',
    primaryKeyConstraintName: 'manifest_missing_references_pkey',
  })
  digest: string;

  @ManyToOne(() => ManifestEntity, { onDelete: 'CASCADE' })
  @JoinColumn({
    name: 'manifest_id',
    foreignKeyConstraintName: 'manifest_missing_references_manifest_id_fkey',
  })
  manifest: Relation<ManifestEntity>;

  /** That of the manifest. A trigger sets it. */
  @Column({ type: 'bigint', name: 'repository_id', nullable: true })
  repositoryId: string | null;
}
