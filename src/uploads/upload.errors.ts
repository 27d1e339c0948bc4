import { DigestInvalidError, RegistryError } from '../oci/errors.js';
import { BodyError } from '../transfer/body.errors.js';
import type { UploadEventKind } from '../events/events.js';

/** The chunk doesn't start where the session ends. The response has the true range (spec.md, "Pushing a blob in chunks"). */
export class UploadOffsetError extends RegistryError {
  constructor(readonly offsetBytes: number) {
    super('BLOB_UPLOAD_INVALID', `the chunk must start at byte ${offsetBytes}`, {
      detail: { offset: offsetBytes },
    });
  }
}

/** Another request writes to the session and did not let go in time. */
export class UploadBusyError extends RegistryError {
  constructor(readonly retryAfterSeconds: number) {
    super('TOOMANYREQUESTS', 'another request is writing to this upload');
  }
}

/** This request had the session until another one took it. What it had made durable is kept. */
export class UploadTakenOverError extends RegistryError {
  constructor() {
    super('TOOMANYREQUESTS', 'another request has taken over this upload');
  }
}

/** Berth is stopping. What arrived is kept, and any replica goes on from there. */
export class ShuttingDownError extends RegistryError {
  constructor() {
    super('TOOMANYREQUESTS', 'this server is stopping');
  }
}

/** What a request that wrote to an upload, and failed with this, is to be remembered as. */
export function failureKind(error: unknown): UploadEventKind {
  if (error instanceof UploadTakenOverError) return 'fenced';
  if (error instanceof DigestInvalidError) return 'digest_mismatch';
  if (error instanceof BodyError) return 'disconnected';
  return 'failed';
}
