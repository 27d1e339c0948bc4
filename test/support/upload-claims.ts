import type { LeaseRequest, UploadOrigin } from '../../src/uploads/session/upload-session.js';

export const NOBODY: UploadOrigin = { actor: null, clientAddress: null, userAgent: null };

/** A claimant of a session. */
export function claimantOf(replica: string, leaseSeconds = 30): LeaseRequest {
  return { ...NOBODY, replica, leaseSeconds };
}
