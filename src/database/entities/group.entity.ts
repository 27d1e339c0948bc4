import { Check, Column, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { BYTEWISE, NOW } from './column-types.js';

/** A group of accounts. Its grants reach each member. */
@Entity('groups')
@Unique('groups_name_key', ['name'])
@Check('groups_name_check', `name ~ '^[a-z0-9][a-z0-9._-]{1,63}$'`)
export class GroupEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'groups_pkey' })
  id: string;

  @Column(BYTEWISE)
  name: string;

  @Column({ type: 'text', default: '' })
  description: string;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  @Column({ type: 'text', name: 'created_by', nullable: true })
  createdBy: string | null;
}
