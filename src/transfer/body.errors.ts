import type { ErrorCode } from '../oci/error-codes.js';
import { RegistryError } from '../oci/errors.js';

/**
 * A request body could not be read to its end. The caller of `readBody` chooses the code, because the spec
 * has one per resource. The bytes received before are kept.
 */
export abstract class BodyError extends RegistryError {}

/** No data came for too long. */
export class BodyStalledError extends BodyError {
  constructor(code: ErrorCode, seconds: number) {
    super(code, `no data received for ${seconds} s, the limit REQUEST_IDLE_TIMEOUT_SECONDS`);
  }
}

/** Too little data came for too long. */
export class BodySlowError extends BodyError {
  constructor(code: ErrorCode, minBytesPerSecond: number, seconds: number) {
    super(
      code,
      `received fewer than ${minBytesPerSecond} bytes per second for ${seconds} s, ` +
        'the limits REQUEST_MIN_BYTES_PER_SECOND and REQUEST_IDLE_TIMEOUT_SECONDS',
    );
  }
}

/** The connection closed before the end of the body. */
export class BodyBrokenError extends BodyError {
  constructor(code: ErrorCode, cause: unknown) {
    super(code, 'the connection closed before the end of the request body', { cause });
  }
}

/** This process receives as many uploads as it may. Nothing of the body was read. */
export class TooManyBodiesError extends RegistryError {
  constructor(max: number) {
    super('TOOMANYREQUESTS', `this server receives ${max} uploads, the limit UPLOAD_MAX_BODIES; retry later`);
  }
}

/** Clients send digests of the bytes as they are, so a content coding is not decoded. */
export class ContentCodingError extends RegistryError {
  constructor() {
    super('UNSUPPORTED', 'Content-Encoding is not supported; send the bytes without it');
  }
}
