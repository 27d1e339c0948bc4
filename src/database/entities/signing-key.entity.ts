import { Column, Entity, PrimaryColumn } from 'typeorm';
import { NOW } from './column-types.js';

/** A key that signs tokens. A token is accepted only while the row of its key exists. */
@Entity('signing_keys')
export class SigningKeyEntity {
  /** The thumbprint of the public part (RFC 7638): `kid` in tokens. */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'signing_keys_pkey' })
  kid: string;

  /** The key pair: `x`, `y` and the private `d` of its JWK (RFC 7518, section 6.2). */
  @Column({ type: 'jsonb', name: 'private_jwk' })
  privateJwk: Record<string, unknown>;

  /** The key signs from this time on, until that of the next key. */
  @Column({ type: 'timestamptz', name: 'signs_from' })
  signsFrom: Date;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;
}
