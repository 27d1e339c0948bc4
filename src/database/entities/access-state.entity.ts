import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { BYTES } from './column-types.js';

/** The only row: the state of access control. */
@Entity('access_state')
@Check('access_state_is_only_row_check', 'is_only_row')
export class AccessStateEntity {
  @PrimaryColumn({
    type: 'boolean',
    name: 'is_only_row',
    default: true,
    primaryKeyConstraintName: 'access_state_pkey',
  })
  isOnlyRow: boolean;

  /** Raised by each change of rights. Triggers do it, so a change by hand takes effect as well. */
  @Column({ ...BYTES, default: 1 })
  epoch: number;

  /** `iss` of the tokens of this installation. */
  @Column({ type: 'uuid' })
  issuer: string;
}
