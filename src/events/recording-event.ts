import type { EventOrigin } from './events.js';

const SAMPLE_FROM_BYTES = 1024 * 1024;

/**
 * Whether a checkpoint is recorded as an event: when it crosses a power of two, from 1 MiB on. So an upload
 * has about twenty of them, however small its chunks are, and they show how fast it progressed.
 */
export function isSampled(beforeBytes: number, afterBytes: number): boolean {
  const step = (bytes: number) => Math.floor(Math.log2(Math.max(bytes, SAMPLE_FROM_BYTES / 2)));
  return step(afterBytes) > step(beforeBytes);
}

/** The origin of an upload's event. */
export interface UploadEventOrigin extends EventOrigin {
  /** When the request acquired the session, on the clock of `performance.now()`. */
  readonly acquiredAt?: number;
}

/** The event that a statement records for each row that it changes. */
export interface EventClause {
  /** SQL expression over the changed row: usually a quoted {@link UploadEventKind}. */
  readonly kind: string;
  /** SQL condition over the changed row. Default: every changed row has an event. */
  readonly when?: string;
  readonly origin: UploadEventOrigin;
}

/**
 * Makes a change of sessions (`UPDATE … RETURNING` at least `id` and `offset_bytes`) record an event for each
 * of them in the same statement: no change without its event, and no second round trip.
 *
 * @returns the statement, which returns what the change returns, and its parameters.
 */
export function recordingEvent(
  change: string,
  parameters: readonly unknown[],
  { kind, when = 'true', origin }: EventClause,
): [sql: string, parameters: unknown[]] {
  const [replica, actor, address, duration] = [1, 2, 3, 4].map((n) => `$${parameters.length + n}`);
  const sql = `WITH changed AS (${change}),
    event AS (
      INSERT INTO upload_events (upload_id, kind, offset_bytes, replica, actor, client_address, duration_ms)
      SELECT id, ${kind}, offset_bytes, ${replica}, ${actor}, ${address}, ${duration}::bigint
        FROM changed WHERE ${when}
    )
    SELECT * FROM changed`;
  return [sql, [...parameters, ...originParameters(origin)]];
}

/** Replica, actor, client address, and how long the request has held the session, in milliseconds. */
export function originParameters({
  replica,
  actor,
  clientAddress,
  acquiredAt,
}: UploadEventOrigin): unknown[] {
  const durationMs = acquiredAt === undefined ? null : Math.round(performance.now() - acquiredAt);
  return [replica, actor, clientAddress, durationMs];
}
