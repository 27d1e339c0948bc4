import { LEASE_HEARTBEAT_MS, LEASE_SECONDS } from './upload-lease.service.js';
import type { UploadSession } from './upload-session.js';
import type { UploadSessionStore } from './upload-session.store.js';

/**
 * Prolongs the lease of a held session while `work` runs that makes no checkpoints. A heartbeat that fails, or finds the
 * session taken, changes nothing here: whatever `work` records next is fenced.
 */
export async function keepLease<T>(
  sessions: UploadSessionStore,
  { id, version }: UploadSession,
  work: () => Promise<T>,
): Promise<T> {
  const timer = setInterval(() => {
    sessions.prolong(id, version, LEASE_SECONDS).catch(() => undefined);
  }, LEASE_HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
