import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { AccountEntity } from './account.entity.js';

/** That an account logged in from a network with a credential. Rows are deleted after two days. */
@Entity('logins')
@Index('logins_last_at_idx', ['lastAt'])
export class LoginEntity {
  @PrimaryColumn({ type: 'bigint', name: 'account_id', primaryKeyConstraintName: 'logins_pkey' })
  accountId: string;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'account_id', foreignKeyConstraintName: 'logins_account_id_fkey' })
  account: Relation<AccountEntity>;

  /** An IPv4 address, or a /64 network of IPv6. */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'logins_pkey' })
  network: string;

  /** `password`, or the id of a secret. */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'logins_pkey' })
  credential: string;

  /** At most a day before the last login: it is not written more often. */
  @Column({ type: 'timestamptz', name: 'last_at' })
  lastAt: Date;
}
