/**
 * The vocabulary of events. Each event says what happened (its kind), to what, and where it came from (its
 * origin). An event is written by the statement that makes the change, so there is never one without the
 * other:
 *
 * | about   | table           | written by                                                        |
 * |---------|-----------------|-------------------------------------------------------------------|
 * | uploads | `upload_events` | the statements of `src/uploads` (see `recordingEvent`)            |
 * | tags    | `tag_events`    | functions of the schema: `put_manifest`, `delete_tag` and others  |
 */

/** The client whose request changes something. */
export interface Client {
  /** The name of the caller; null if it is anonymous. */
  readonly actor: string | null;
  readonly clientAddress: string | null;
}

/** The request that caused an event, and the replica that served it. */
export interface EventOrigin {
  readonly replica: string;
  /** The name of the caller; null if it is anonymous, or if no request caused the event. */
  readonly actor: string | null;
  readonly clientAddress: string | null;
}

/** What can happen to a tag. The row tells the kind: no `from_digest`, both digests, or no `to_digest`. */
export type TagEventKind = 'created' | 'moved' | 'deleted';

/** What can happen to an upload. */
export type UploadEventKind =
  /** The session was created. */
  | 'started'
  /** Another process than the last one acquired the session. Sampled after the first 32 acquisitions. */
  | 'resumed'
  /** A request acquired the session from a writer that never released it: killed, frozen, or disconnected. */
  | 'takeover'
  /** A request found another writer and asked it to release the session. */
  | 'conflict'
  /** A writer lost the session to another request. */
  | 'fenced'
  /** Progress became durable. Sampled, see `isSampled`. */
  | 'checkpoint'
  /** The client's connection broke while it sent the body, or the body stalled. */
  | 'disconnected'
  /** The bytes do not have the digest that the client named. */
  | 'digest_mismatch'
  /** A request that wrote failed for another reason; `detail` names the error. */
  | 'failed'
  | 'committed'
  | 'cancelled'
  /** No request for the session's time to live. */
  | 'expired';
