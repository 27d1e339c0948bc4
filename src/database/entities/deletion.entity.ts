import {
  Check,
  Column,
  Entity,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { BYTEWISE, NOW } from './column-types.js';
import { RepositoryEntity } from './repository.entity.js';

/** What one request, or one step of the collector, deleted. It can be undone until it is purged. */
@Entity('deletions')
@Check('deletions_kind_check', `kind IN ('tag', 'manifest', 'repository', 'untagged', 'retention')`)
@Check('deletions_state_check', `state IN ('restorable', 'restoring', 'restored', 'purging', 'purged')`)
@Index('deletions_deleted_at_idx', ['deletedAt'], { where: `state = 'restorable'` })
@Index('deletions_purging_repositories_idx', ['id'], { where: `state = 'purging' AND kind = 'repository'` })
@Index('deletions_ended_at_idx', ['endedAt'], { where: 'ended_at IS NOT NULL' })
@Index('deletions_unfollowed_idx', ['id'], { where: 'NOT followed' })
@Index('deletions_repository_id_idx', ['repositoryId'])
@Index('deletions_state_id_idx', ['state', 'id'])
@Index('deletions_repository_state_id_idx', ['repository', 'state', 'id'])
export class DeletionEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'deletions_pkey' })
  id: string;

  /** Null: the repository's row is gone. */
  @Column({ type: 'bigint', name: 'repository_id', nullable: true })
  repositoryId: string | null;

  @ManyToOne(() => RepositoryEntity, { onDelete: 'SET NULL', nullable: true })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'deletions_repository_id_fkey' })
  repositoryRow: Relation<RepositoryEntity> | null;

  /** The name of the repository when it happened. */
  @Column({ ...BYTEWISE, name: 'repository' })
  repository: string;

  @Column({ type: 'text' })
  kind: string;

  /** The tag or digest; null for a repository. */
  @Column({ ...BYTEWISE, nullable: true })
  reference: string | null;

  @Column({ type: 'text', nullable: true })
  actor: string | null;

  @Column({ type: 'text', nullable: true })
  reason: string | null;

  @Column({ ...NOW, name: 'deleted_at' })
  deletedAt: Date;

  @Column({ type: 'text', default: 'restorable' })
  state: string;

  /** Whether the manifests that nothing else holds are in it, too. */
  @Column({ type: 'boolean', default: false })
  followed: boolean;

  /** When an operator asked to purge it: then no window applies. */
  @Column({ type: 'timestamptz', name: 'purge_requested_at', nullable: true })
  purgeRequestedAt: Date | null;

  /** When it was restored or purged. */
  @Column({ type: 'timestamptz', name: 'ended_at', nullable: true })
  endedAt: Date | null;

  /** Who restored it, and how far that is: see the migration `Restoration`. */
  @Column({ type: 'jsonb', nullable: true })
  restoration: object | null;
}
