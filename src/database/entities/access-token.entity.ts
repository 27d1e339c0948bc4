import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { AccountEntity } from './account.entity.js';
import { NOW } from './column-types.js';

/** A secret of an account, for logins of programs. Its text is not stored. */
@Entity('access_tokens')
@Check('access_tokens_ceiling_check', `ceiling = 'pull'`)
@Index('access_tokens_account_id_id_idx', ['accountId', 'id'])
export class AccessTokenEntity {
  /** The part of the secret's text that may be shown. */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'access_tokens_pkey' })
  id: string;

  @Column({ type: 'bigint', name: 'account_id' })
  accountId: string;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'account_id', foreignKeyConstraintName: 'access_tokens_account_id_fkey' })
  account: Relation<AccountEntity>;

  /** What its owner calls it. */
  @Column({ type: 'text' })
  name: string;

  /** The SHA-256 of the secret's text. */
  @Column({ type: 'bytea' })
  sha256: Buffer;

  /** `pull`: logins with this secret may pull, whatever the account may do. */
  @Column({ type: 'text', nullable: true })
  ceiling: 'pull' | null;

  @Column({ type: 'timestamptz', name: 'expires_at', nullable: true })
  expiresAt: Date | null;

  /** To the minute. */
  @Column({ type: 'timestamptz', name: 'last_used_at', nullable: true })
  lastUsedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'revoked_at', nullable: true })
  revokedAt: Date | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  @Column({ type: 'text', name: 'created_by', nullable: true })
  createdBy: string | null;
}
