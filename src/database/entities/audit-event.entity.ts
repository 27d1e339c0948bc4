import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { BYTEWISE, CLIENT_ADDRESS, ofSetting } from './column-types.js';

/**
 * Something that happened: see `src/audit`. Triggers refuse to change an event, and to delete one before its
 * time. It has names instead of foreign keys, because it outlives what it names.
 */
@Entity('audit_events')
@Index('audit_events_happened_at_id_idx', ['happenedAt', 'id'])
@Index('audit_events_actor_happened_at_id_idx', ['actor', 'happenedAt', 'id'])
@Index('audit_events_repository_happened_at_id_idx', ['repository', 'happenedAt', 'id'])
@Index('audit_events_action_happened_at_id_idx', ['action', 'happenedAt', 'id'])
export class AuditEventEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', primaryKeyConstraintName: 'audit_events_pkey' })
  id: string;

  @Column({ type: 'timestamptz', name: 'happened_at', default: () => 'clock_timestamp()' })
  happenedAt: Date;

  @Column(BYTEWISE)
  action: string;

  /** The name of the caller; null if it is anonymous, or if no request caused the event. */
  @Column({ ...BYTEWISE, nullable: true })
  actor: string | null;

  /** What the event is about: the name of an account, a digest, … */
  @Column({ ...BYTEWISE, nullable: true })
  subject: string | null;

  @Column({ ...BYTEWISE, nullable: true })
  repository: string | null;

  @Column(CLIENT_ADDRESS)
  clientAddress: string | null;

  @Column({ type: 'text', name: 'user_agent', nullable: true, default: ofSetting('berth.user_agent') })
  userAgent: string | null;

  @Column({ type: 'text', name: 'request_id', nullable: true, default: ofSetting('berth.request_id') })
  requestId: string | null;

  @Column({ type: 'jsonb', nullable: true })
  before: object | null;

  @Column({ type: 'jsonb', nullable: true })
  after: object | null;
}
