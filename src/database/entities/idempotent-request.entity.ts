import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { NOW } from './column-types.js';

/** A request with an `Idempotency-Key` that succeeded. A repeat of it changes nothing. */
@Entity('idempotent_requests')
@Index('idempotent_requests_recorded_at_idx', ['recordedAt'])
export class IdempotentRequestEntity {
  /** A hash of caller, method, target, header and body: see `src/idempotency/request-key.ts`. */
  @PrimaryColumn({ type: 'bytea', primaryKeyConstraintName: 'idempotent_requests_pkey' })
  key: Buffer;

  @Column({ ...NOW, name: 'recorded_at' })
  recordedAt: Date;
}
