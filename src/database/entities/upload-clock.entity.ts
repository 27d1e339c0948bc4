import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/**
 * What the clock of the database said at some moment, and how much of its time was counted until then. See
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
