import { Column, Entity, Index, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { BYTEWISE, NOW } from './column-types.js';

/** A repository. The first blob or manifest committed to it creates it. */
@Entity('repositories')
@Index('repositories_deletion_id_idx', ['deletionId'], { where: 'deletion_id IS NOT NULL' })
@Unique('repositories_name_key', ['name'])
export class RepositoryEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'repositories_pkey' })
  id: string;

  /** Null: the repository is deleted. */
  @Column({ ...BYTEWISE, nullable: true })
  name: string | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  /** Its name before the deletion. */
  @Column({ ...BYTEWISE, name: 'deleted_name', nullable: true })
  deletedName: string | null;

  @Column({ type: 'bigint', name: 'deletion_id', nullable: true })
  deletionId: string | null;
}
