import type { AuditAction } from './audit-actions.js';

/** The request that caused an event. */
export interface AuditOrigin {
  /** The name of the caller; null if it is anonymous, or if no request caused the event. */
  readonly actor: string | null;
  readonly clientAddress: string | null;
  readonly userAgent: string | null;
  /** The id of the request, which the access log has too. */
  readonly requestId: string | null;
}

/** What Berth does by itself: at a start, or in the background. */
export const NO_REQUEST: AuditOrigin = {
  actor: null,
  clientAddress: null,
  userAgent: null,
  requestId: null,
};

export type AuditValue =
  string | number | boolean | null | Date | readonly AuditValue[] | { readonly [name: string]: AuditValue };

/** The fields of a thing that changed. Never a secret, a password, or a hash of one. */
export type AuditFields = Readonly<Record<string, AuditValue>>;

/** Something that happened. {@link AUDIT_ACTIONS} says what the subject of each action is. */
export interface AuditEvent {
  readonly action: AuditAction;
  readonly subject: string | null;
  readonly repository?: string;
  /** What changed, before and after; undefined for what did not exist. At most 16 KiB each. */
  readonly before?: AuditFields | undefined;
  readonly after?: AuditFields | undefined;
}
