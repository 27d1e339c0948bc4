import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { BYTEWISE, CLIENT_ADDRESS } from './column-types.js';
import { RepositoryEntity } from './repository.entity.js';

/** A move of a tag: when, by whom, from and to which digest. Written in the transaction that moves it. */
@Entity('tag_events')
@Index('tag_events_deletion_id_idx', ['deletionId'], { where: 'deletion_id IS NOT NULL' })
@Index('tag_events_repository_id_from_digest_happened_at_idx', ['repositoryId', 'fromDigest', 'happenedAt'], {
  where: 'from_digest IS NOT NULL',
})
@Index('tag_events_repository_id_happened_at_id_idx', ['repositoryId', 'happenedAt', 'id'])
@Index('tag_events_repository_id_tag_happened_at_id_idx', ['repositoryId', 'tag', 'happenedAt', 'id'])
export class TagEventEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'tag_events_pkey' })
  id: string;

  @Column({ type: 'bigint', name: 'repository_id' })
  repositoryId: string;

  @ManyToOne(() => RepositoryEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'tag_events_repository_id_fkey' })
  repository: Relation<RepositoryEntity>;

  @Column(BYTEWISE)
  tag: string;

  /** Null: the tag was new. */
  @Column({ ...BYTEWISE, name: 'from_digest', nullable: true })
  fromDigest: string | null;

  /** Null: the tag was deleted. */
  @Column({ ...BYTEWISE, name: 'to_digest', nullable: true })
  toDigest: string | null;

  @Column({ type: 'text', nullable: true })
  actor: string | null;

  @Column(CLIENT_ADDRESS)
  clientAddress: string | null;

  @Column({ type: 'timestamptz', name: 'happened_at', default: () => 'clock_timestamp()' })
  happenedAt: Date;

  /** The deletion that deleted the tag. */
  @Column({ type: 'bigint', name: 'deletion_id', nullable: true })
  deletionId: string | null;
}
