import { Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { ManifestEntity } from './manifest.entity.js';

/**
 * What a sparse manifest refers to by digest although its repository didn't have it when it was pushed, or has lost
 * it since. Kept so that every reference is a row: whoever collects must keep what one of these names.
 */
@Entity('manifest_missing_references')
@Index('manifest_missing_references_digest_idx', ['digest'])
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
}
