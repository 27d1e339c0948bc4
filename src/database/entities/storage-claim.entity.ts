import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** The only row: the claim by which this database may delete objects in the storage. */
@Entity('storage_claim')
@Check('storage_claim_is_only_row_check', 'is_only_row')
export class StorageClaimEntity {
  @PrimaryColumn({
    type: 'boolean',
    name: 'is_only_row',
    default: true,
    primaryKeyConstraintName: 'storage_claim_pkey',
  })
  isOnlyRow: boolean;

  /** How often the claim was renewed. */
  @Column({ type: 'bigint', default: 0 })
  number: string;

  /** The token that the storage has; null before the first claim. */
  @Column({ type: 'uuid', nullable: true })
  token: string | null;

  /** The token before that: a storage may still show it. */
  @Column({ type: 'uuid', name: 'former_token', nullable: true })
  formerToken: string | null;

  /** The token that is being written to the storage. */
  @Column({ type: 'uuid', name: 'next_token', nullable: true })
  nextToken: string | null;

  @Column({ type: 'timestamptz', name: 'renewed_at', nullable: true })
  renewedAt: Date | null;
}
