import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** The only row: which storage belongs to this database. */
@Entity('storage_identity')
@Check('storage_identity_is_only_row_check', 'is_only_row')
export class StorageIdentityEntity {
  @PrimaryColumn({
    type: 'boolean',
    name: 'is_only_row',
    default: true,
    primaryKeyConstraintName: 'storage_identity_pkey',
  })
  isOnlyRow: boolean;

  /** The identity, which the storage has as well. A migration creates it; adopting a storage replaces it. */
  @Column({ type: 'uuid' })
  id: string;

  /** When a storage was bound to this database; null before that. */
  @Column({ type: 'timestamptz', name: 'bound_at', nullable: true })
  boundAt: Date | null;
}
