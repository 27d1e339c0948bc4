import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/**
 * A reading of the database's clock, and the seconds counted as idle time up to it. See
 * `src/maintenance/upload-clock.ts`.
 */
@Entity('upload_clock')
@Index('upload_clock_seconds_id_idx', ['seconds', 'id'])
export class UploadClockEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'upload_clock_pkey' })
  id: string;

  @Column({ type: 'double precision' })
  seconds: number;

  @Column({ type: 'timestamptz', name: 'seen_at' })
  seenAt: Date;
}
