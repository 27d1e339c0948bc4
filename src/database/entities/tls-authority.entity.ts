import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { NOW } from './column-types.js';

/** The only row: the certificate authority of `TLS=auto`, which all processes on this database share. */
@Entity('tls_authority')
@Check('tls_authority_is_only_row_check', 'is_only_row')
export class TlsAuthorityEntity {
  @PrimaryColumn({
    type: 'boolean',
    name: 'is_only_row',
    default: true,
    primaryKeyConstraintName: 'tls_authority_pkey',
  })
  isOnlyRow: boolean;

  /** PEM. */
  @Column({ type: 'text' })
  certificate: string;

  /** PKCS #8 in PEM. */
  @Column({ type: 'text', name: 'private_key' })
  privateKey: string;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;
}
