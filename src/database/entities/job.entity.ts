import { Column, Entity, PrimaryColumn } from 'typeorm';
import { NOW } from './column-types.js';

/** A job: background work that one process does at a time, among all that share the database. */
@Entity('jobs')
export class JobEntity {
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'jobs_pkey' })
  name: string;

  /** Each claim raises it. A process with an older number changes nothing here. */
  @Column({ type: 'bigint', default: 0 })
  fence: string;

  /** The process that runs it; null while none does. */
  @Column({ type: 'text', nullable: true })
  holder: string | null;

  @Column({ type: 'timestamptz', name: 'lease_expires_at', nullable: true })
  leaseExpiresAt: Date | null;

  /** The run that is queued or running. */
  @Column({ type: 'bigint', name: 'run_id', nullable: true })
  runId: string | null;

  /** Where the job continues. It outlives the run. */
  @Column({ type: 'jsonb', nullable: true })
  cursor: unknown;

  @Column({ type: 'boolean', default: false })
  paused: boolean;

  /** From when on a run is wanted that starts after that, for a purge or a restore; null: none is. */
  @Column({ type: 'timestamptz', name: 'wanted_at', nullable: true })
  wantedAt: Date | null;

  /** The account that wants it; null if unknown. */
  @Column({ type: 'text', name: 'wanted_by', nullable: true })
  wantedBy: string | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  /** When the last run ended; null before that. */
  @Column({ type: 'timestamptz', name: 'ended_at', nullable: true })
  endedAt: Date | null;

  /** Why the last run failed; null if it did not. */
  @Column({ type: 'text', nullable: true })
  error: string | null;
}
