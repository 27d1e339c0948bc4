import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** The failed logins with a name from a network in a minute. Rows are deleted after some minutes. */
@Entity('login_failures')
@Index('login_failures_minute_idx', ['minute'])
export class LoginFailureEntity {
  /** An IPv4 address, or a /64 network of IPv6. */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'login_failures_pkey' })
  network: string;

  /** 16 bits of a hash of the name. People type passwords as names, so the name must not be found from it. */
  @PrimaryColumn({ type: 'integer', name: 'name_hash', primaryKeyConstraintName: 'login_failures_pkey' })
  nameHash: number;

  @PrimaryColumn({ type: 'timestamptz', primaryKeyConstraintName: 'login_failures_pkey' })
  minute: Date;

  @Column({ type: 'integer' })
  failures: number;

  /** They do not count for the network: the name has logged in from there. */
  @Column({ type: 'boolean', name: 'is_exempt' })
  isExempt: boolean;
}
