import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { AccountEntity } from './account.entity.js';
import { NOW } from './column-types.js';
import { GroupEntity } from './group.entity.js';

/** That an account belongs to a group. */
@Entity('group_members')
@Index('group_members_account_id_idx', ['accountId'])
export class GroupMemberEntity {
  @PrimaryColumn({ type: 'bigint', name: 'group_id', primaryKeyConstraintName: 'group_members_pkey' })
  groupId: string;

  @PrimaryColumn({ type: 'bigint', name: 'account_id', primaryKeyConstraintName: 'group_members_pkey' })
  accountId: string;

  @ManyToOne(() => GroupEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'group_id', foreignKeyConstraintName: 'group_members_group_id_fkey' })
  group: Relation<GroupEntity>;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'account_id', foreignKeyConstraintName: 'group_members_account_id_fkey' })
  account: Relation<AccountEntity>;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;
}
