import type { Claimant, UploadOrigin } from '../../src/uploads/session/upload-session.js';

export const NOBODY: UploadOrigin = { createdBy: null, clientAddress: null, userAgent: null };

/** Somebody who wants to write, as far as the rows are concerned. */
export function claimantOf(replica: string, leaseSeconds = 30): Claimant {
  return { replica, by: NOBODY, leaseSeconds };
}
