import type { LeaseRequest, UploadOrigin } from '../../src/uploads/session/upload-session.js';

export const NOBODY: UploadOrigin = { actor: null, clientAddress: null, userAgent: null };

/** Somebody who wants to write, as far as the rows are concerned. */
export function claimantOf(replica: string, leaseSeconds = 30): LeaseRequest {
  return { ...NOBODY, replica, leaseSeconds };
}
