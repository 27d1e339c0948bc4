import type { LeaseRequest, UploadOrigin } from '../../src/uploads/session/upload-session.js';

export const UNKNOWN_ORIGIN: UploadOrigin = { actor: null, clientAddress: null, userAgent: null };

/** A claimant of a session. */
export function claimantOf(replica: string, leaseSeconds = 30): LeaseRequest {
  return { ...UNKNOWN_ORIGIN, replica, leaseSeconds };
}
