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
import { AccountEntity } from './account.entity.js';
import { BYTEWISE, NOW } from './column-types.js';
import { GroupEntity } from './group.entity.js';

export const GRANT_SUBJECTS = ['account', 'group', 'signed-in', 'anonymous'] as const;
export type GrantSubject = (typeof GRANT_SUBJECTS)[number];

export const GRANT_ROLES = ['pull', 'push', 'maintain'] as const;
export type GrantRole = (typeof GRANT_ROLES)[number];

/** A role of a subject on the repositories that a pattern matches. A subject has one role per pattern. */
@Entity('grants')
@Check('grants_subject_check', `subject IN ('account', 'group', 'signed-in', 'anonymous')`)
@Check('grants_account_check', `(subject = 'account') = (account_id IS NOT NULL)`)
@Check('grants_group_check', `(subject = 'group') = (group_id IS NOT NULL)`)
@Check('grants_role_check', `role IN ('pull', 'push', 'maintain')`)
@Check('grants_anonymous_check', `subject <> 'anonymous' OR role = 'pull'`)
@Index('grants_subject_id_idx', ['subject', 'id'])
@Index('grants_pattern_id_idx', ['pattern', 'id'])
@Index('grants_account_id_pattern_idx', ['accountId', 'pattern'], {
  unique: true,
  where: 'account_id IS NOT NULL',
})
@Index('grants_group_id_pattern_idx', ['groupId', 'pattern'], {
  unique: true,
  where: 'group_id IS NOT NULL',
})
@Index('grants_subject_pattern_idx', ['subject', 'pattern'], {
  unique: true,
  where: 'account_id IS NULL AND group_id IS NULL',
})
export class GrantEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'grants_pkey' })
  id: string;

  @Column({ type: 'text' })
  subject: GrantSubject;

  /** Set for the subject `account`. */
  @Column({ type: 'bigint', name: 'account_id', nullable: true })
  accountId: string | null;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'account_id', foreignKeyConstraintName: 'grants_account_id_fkey' })
  account: Relation<AccountEntity> | null;

  /** Set for the subject `group`. */
  @Column({ type: 'bigint', name: 'group_id', nullable: true })
  groupId: string | null;

  @ManyToOne(() => GroupEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'group_id', foreignKeyConstraintName: 'grants_group_id_fkey' })
  group: Relation<GroupEntity> | null;

  /** See `src/accounts/grants/pattern.ts`. */
  @Column(BYTEWISE)
  pattern: string;

  @Column({ type: 'text' })
  role: GrantRole;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  @Column({ type: 'text', name: 'created_by', nullable: true })
  createdBy: string | null;
}
