import { RegistryError } from '../oci/errors.js';

/** The body moved no byte for too long. What arrived is kept. */
export class BodyIdleError extends RegistryError {
  constructor(idleSeconds: number) {
    super('BLOB_UPLOAD_INVALID', `the request body moved no byte for ${idleSeconds} s`);
  }
}

/** The body moved too few bytes for too long. What arrived is kept. */
export class BodySlowError extends RegistryError {
  constructor(minBytesPerSecond: number, seconds: number) {
    super(
      'BLOB_UPLOAD_INVALID',
      `the request body moved fewer than ${minBytesPerSecond} bytes per second for ${seconds} s`,
    );
  }
}

/** The body ended before its end: its client is gone, or the connection. What arrived is kept. */
export class BodyBrokenError extends RegistryError {
  constructor(cause: unknown) {
    super('BLOB_UPLOAD_INVALID', 'the request body broke off', { cause });
  }
}

/** A blob or a manifest is the bytes whose digest its client knows, so a content coding is not decoded. */
export class ContentCodingError extends RegistryError {
  constructor() {
    super('UNSUPPORTED', 'the registry takes no Content-Encoding: send the bytes as they are');
  }
}
