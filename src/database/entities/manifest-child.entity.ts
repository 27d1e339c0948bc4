import { Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { ManifestEntity } from './manifest.entity.js';

/** A manifest that an index lists. */
@Entity('manifest_children')
@Index('manifest_children_child_id_idx', ['childId'])
export class ManifestChildEntity {
  @PrimaryColumn({ type: 'bigint', name: 'parent_id', primaryKeyConstraintName: 'manifest_children_pkey' })
  parentId: string;

  @PrimaryColumn({ type: 'bigint', name: 'child_id', primaryKeyConstraintName: 'manifest_children_pkey' })
  childId: string;

  @ManyToOne(() => ManifestEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'parent_id', foreignKeyConstraintName: 'manifest_children_parent_id_fkey' })
  parent: Relation<ManifestEntity>;

  @ManyToOne(() => ManifestEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'child_id', foreignKeyConstraintName: 'manifest_children_child_id_fkey' })
  child: Relation<ManifestEntity>;
}
