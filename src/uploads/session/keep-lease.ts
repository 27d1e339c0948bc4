import { heartbeatMs, type Lease } from './upload-session.js';
import type { UploadSessionStore } from './upload-session.store.js';

/**
 * Prolongs the lease of a held session while `work` runs that makes no checkpoints. A heartbeat that fails, or finds the
 * session taken, changes nothing here: whatever `work` records next is fenced.
 */
export async function keepLease<T>(
  sessions: UploadSessionStore,
  lease: Lease,
  work: () => Promise<T>,
): Promise<T> {
  const timer = setInterval(() => {
    sessions.prolong(lease).catch(() => undefined);
  }, heartbeatMs(lease));
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
