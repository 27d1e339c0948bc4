import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** The one row that says which storage this database belongs to. */
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

  /** The identity that the storage has too. The migration makes it; adopting a storage replaces it. */
  @Column({ type: 'uuid' })
  id: string;

  /** When a storage was bound to this database; null until the first one is. */
  @Column({ type: 'timestamptz', name: 'bound_at', nullable: true })
  boundAt: Date | null;
}
