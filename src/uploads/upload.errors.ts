import type { UploadEventKind } from '../events/events.js';
import { BUSY_UPLOAD } from '../oci/busy-upload.js';
import { DatabaseFullError } from '../database/errors/database-full.error.js';
import { isDatabaseUnavailable } from '../database/errors/database-errors.js';
import type { UploadFailure } from '../observability/metrics/upload.metrics.js';
import { DigestInvalidError, RegistryError } from '../oci/errors.js';
import { StorageError, StorageFullError } from '../storage/storage.errors.js';
import { BodyError } from '../transfer/body.errors.js';
import type { UploadReference } from './session/upload-session.js';

/**
 * The body does not start at the session's offset. The response has the Range (spec.md, "Pushing a blob in
 * chunks") and the Location for that offset.
 */
export class UploadOffsetError extends RegistryError {
  /** @param problem where this body starts, and why that is wrong. */
  constructor(
    readonly session: UploadReference & { readonly offsetBytes: number },
    problem: string,
  ) {
    const { offsetBytes } = session;
    const action = `continue at byte ${offsetBytes} with the Location of this response`;
    super('BLOB_UPLOAD_INVALID', `${problem}; ${action}`, { detail: { offset: offsetBytes } });
  }

  /** For a body whose request states another offset than the session's. */
  static stated(session: UploadOffsetError['session'], offset: number): UploadOffsetError {
    return new UploadOffsetError(session, `the Upload-Offset is ${offset}`);
  }

  /** For a body that was sent to a Location with another offset than the session's. */
  static atLocation(session: UploadOffsetError['session'], offset: number, why: string): UploadOffsetError {
    return new UploadOffsetError(
      session,
      `this Location is for a body that starts at byte ${offset}, ${why}`,
    );
  }
}

/** As many sessions are open as may be. */
export class TooManySessionsError extends RegistryError {
  constructor(
    readonly limit: 'sessions' | 'repository_sessions',
    max: number,
  ) {
    const [where, setting] =
      limit === 'sessions'
        ? ['this registry has', 'UPLOAD_MAX_SESSIONS']
        : ['this repository has', 'UPLOAD_MAX_SESSIONS_PER_REPOSITORY'];
    super(
      'TOOMANYREQUESTS',
      `${where} ${max} open uploads, the limit ${setting}: finish or cancel some, or retry later`,
    );
  }
}

/** Another request writes to the session and did not release it in time. */
export class UploadBusyError extends RegistryError {
  constructor(readonly retryAfterSeconds: number) {
    super('TOOMANYREQUESTS', 'another request is writing to this upload', { detail: BUSY_UPLOAD });
  }
}

/** Another request acquired the session from this one. Its durable bytes are kept. */
export class UploadTakenOverError extends RegistryError {
  constructor() {
    super('TOOMANYREQUESTS', 'another request has taken over this upload', { detail: BUSY_UPLOAD });
  }
}

/** Berth is stopping. What arrived is kept, and the client can continue on any replica. */
export class ShuttingDownError extends RegistryError {
  constructor() {
    super('TOOMANYREQUESTS', 'this server is stopping');
  }
}

/** The event that records this failure of a request that wrote. */
export function failureKind(error: unknown): UploadEventKind {
  if (error instanceof UploadTakenOverError) return 'fenced';
  if (error instanceof DigestInvalidError) return 'digest_mismatch';
  if (error instanceof BodyError) return 'disconnected';
  return 'failed';
}

/** The same for the metrics, where the reason is all that there is. */
export function failureReason(error: unknown): UploadFailure {
  const kind = failureKind(error);
  if (kind === 'fenced' || kind === 'digest_mismatch' || kind === 'disconnected') return kind;
  if (error instanceof ShuttingDownError) return 'stopping';
  if (error instanceof StorageFullError || error instanceof DatabaseFullError) return 'disk_full';
  if (error instanceof StorageError) return 'storage';
  if (isDatabaseUnavailable(error)) return 'database';
  return error instanceof RegistryError ? 'refused' : 'other';
}
