/** The request that caused an event, and the replica that served it. */
export interface EventOrigin {
  readonly replica: string;
  readonly by: { readonly createdBy: string | null; readonly clientAddress: string | null };
  /** When the request acquired the session, on the clock of `performance.now()`. */
  readonly takenAt?: number;
}

/** What can happen to an upload. */
export type UploadEventKind =
  /** The session began. */
  | 'started'
  /** A request took it in another process than the one that had it last. Sampled after the first takings. */
  | 'resumed'
  /** A request took it from a writer that never let go: killed, frozen, or cut off. */
  | 'takeover'
  /** A request found another one writing, and asked it to let go. */
  | 'conflict'
  /** A writer lost the session to another request. */
  | 'fenced'
  /** Progress was made durable. Sampled, see {@link isSampled}. */
  | 'checkpoint'
  /** The client's connection broke while it sent, or moved no byte for too long. */
  | 'disconnected'
  /** The bytes are not those of the digest that the client asked for. */
  | 'digest_mismatch'
  /** A request that wrote ended in another failure; `detail` names it. */
  | 'failed'
  | 'committed'
  | 'cancelled'
  /** Nothing happened for the session's time to live. */
  | 'expired';

const SAMPLE_FROM_BYTES = 1024 * 1024;

/**
 * Whether a checkpoint is worth an event: where it crosses a power of two, from 1 MiB on. However finely a client cuts its upload, a
 * session leaves some twenty of them at the most, and each tells when how much had arrived.
 */
export function isSampled(beforeBytes: number, afterBytes: number): boolean {
  const step = (bytes: number) => Math.floor(Math.log2(Math.max(bytes, SAMPLE_FROM_BYTES / 2)));
  return step(afterBytes) > step(beforeBytes);
}

/** An event as the change of a session leaves it. */
export interface EventClause {
  /** An SQL expression over the changed row; a literal in quotes, mostly. */
  readonly kind: string;
  /** An SQL condition over the changed row; every changed row, where it's missing. */
  readonly when?: string;
  readonly who: EventOrigin;
  /** Further parts of the statement, `name AS (…)`, that the change refers to. */
  readonly before?: string;
}

/**
 * A change of sessions (`UPDATE … RETURNING` at least `id` and `offset_bytes`) that leaves an event of each, in the same statement: there is no one
 * without the other, and no second round trip. Answers the statement, which yields what the change returns, and its parameters.
 */
export function leavingEvent(
  change: string,
  parameters: readonly unknown[],
  { kind, when = 'true', who, before }: EventClause,
): [sql: string, parameters: unknown[]] {
  const [replica, actor, address, duration] = [1, 2, 3, 4].map((n) => `$${parameters.length + n}`);
  const sql = `WITH ${before === undefined ? '' : `${before}, `}changed AS (${change}),
    event AS (
      INSERT INTO upload_events (upload_id, kind, offset_bytes, replica, actor, client_address, duration_ms)
      SELECT id, ${kind}, offset_bytes, ${replica}, ${actor}, ${address}, ${duration}::bigint FROM changed WHERE ${when}
    )
    SELECT * FROM changed`;
  return [sql, [...parameters, ...whoParameters(who)]];
}

/** Replica, actor, client address, and since when the request has held the session, in milliseconds. */
export function whoParameters(who: EventOrigin): unknown[] {
  const durationMs = who.takenAt === undefined ? null : Math.round(performance.now() - who.takenAt);
  return [who.replica, who.by.createdBy, who.by.clientAddress, durationMs];
}
