import { Check, Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { BYTEWISE, NOW } from './column-types.js';

export const JOB_RUN_STATES = ['queued', 'running', 'succeeded', 'failed', 'stopped'] as const;
export type JobRunState = (typeof JOB_RUN_STATES)[number];

/** A run of a job. If its process ends, another process continues it. */
@Entity('job_runs')
@Check('job_runs_state_check', `state IN ('queued', 'running', 'succeeded', 'failed', 'stopped')`)
@Index('job_runs_job_id_idx', ['job', 'id'])
export class JobRunEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'job_runs_pkey' })
  id: string;

  @Column(BYTEWISE)
  job: string;

  @Column({ type: 'text' })
  state: JobRunState;

  /** Whether a request started it, and not the job's interval. */
  @Column({ type: 'boolean', name: 'is_requested' })
  isRequested: boolean;

  /** Whether a purge or a restore asked for it: then it is tried again until it succeeds. */
  @Column({ type: 'boolean', name: 'is_wanted', default: false })
  isWanted: boolean;

  /** The account that requested it; null if unknown. */
  @Column({ type: 'text', name: 'requested_by', nullable: true })
  requestedBy: string | null;

  @Column({ type: 'boolean', name: 'is_dry_run' })
  isDryRun: boolean;

  /** The process that ran it last. */
  @Column({ type: 'text', nullable: true })
  replica: string | null;

  /** What it has counted, by name. */
  @Column({ type: 'jsonb', default: {} })
  progress: Record<string, number>;

  @Column({ type: 'text', nullable: true })
  error: string | null;

  @Column({ ...NOW, name: 'created_at' })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'started_at', nullable: true })
  startedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'stop_requested_at', nullable: true })
  stopRequestedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'ended_at', nullable: true })
  endedAt: Date | null;
}
