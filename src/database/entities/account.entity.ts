import { Check, Column, Entity, Index, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { BYTEWISE, NOW } from './column-types.js';

export const ACCOUNT_KINDS = ['user', 'robot'] as const;
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

export const REGISTRY_ROLES = ['reader', 'admin'] as const;
export type RegistryRole = (typeof REGISTRY_ROLES)[number];

/**
 * A user or a robot. The row of a deleted account stays: other rows name accounts, so a name must never
 * belong to another account.
 */
@Entity('accounts')
@Unique('accounts_name_key', ['name'])
@Check('accounts_name_check', `name ~ '^[a-z0-9][a-z0-9._-]{1,63}$'`)
@Check('accounts_kind_check', `kind IN ('user', 'robot')`)
@Check('accounts_registry_role_check', `registry_role IN ('reader', 'admin')`)
@Index('accounts_kind_name_idx', ['kind', 'name'], { where: 'deleted_at IS NULL' })
@Index('accounts_registry_role_idx', ['registryRole'], { where: 'registry_role IS NOT NULL' })
@Check('accounts_robot_password_check', `kind <> 'robot' OR password_hash IS NULL`)
export class AccountEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'accounts_pkey' })
  id: string;

  @Column(BYTEWISE)
  name: string;

  @Column({ type: 'text' })
  kind: AccountKind;

  /** `admin` may do everything; `reader` reads the admin API. */
  @Column({ type: 'text', name: 'registry_role', nullable: true })
  registryRole: RegistryRole | null;

  /** argon2id or bcrypt, in their text forms. Null: no login by password. */
  @Column({ type: 'text', name: 'password_hash', nullable: true })
  passwordHash: string | null;

  /** Raised when the password changes: what an older password was exchanged for ends. */
  @Column({ type: 'integer', name: 'password_generation', default: 0 })
  passwordGeneration: number;

  @Column({ type: 'boolean', default: false })
  disabled: boolean;

  @Column({ type: 'timestamptz', name: 'expires_at', nullable: true })
  expiresAt: Date | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  @Column({ type: 'text', name: 'created_by', nullable: true })
  createdBy: string | null;

  @Column({ type: 'timestamptz', name: 'deleted_at', nullable: true })
  deletedAt: Date | null;
}
