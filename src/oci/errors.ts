import { ERROR_CODES, type ErrorCode } from './error-codes.js';

export interface RegistryErrorOptions {
  /** Helps the client's author, as JSON. Never a secret, never another repository's data. */
  readonly detail?: unknown;
  readonly cause?: unknown;
}

/**
 * An error that the client gets as one of the spec's error codes. Services throw its subclasses; its status
 * and headers are in `src/http/error-responses.ts`.
 */
export class RegistryError extends Error {
  readonly detail: unknown;
  /** How much of the upload is durable that failed with this error. For the log. */
  durableOffset: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string = ERROR_CODES[code],
    { cause, detail }: RegistryErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.detail = detail;
  }
}

export class DigestInvalidError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('DIGEST_INVALID', message, options);
  }
}

/** The content has another digest than the client said. */
export function digestMismatch(
  content: 'upload' | 'manifest',
  detail: { readonly expected: string; readonly received: string; readonly size: number },
): DigestInvalidError {
  const { expected, received, size } = detail;
  const message = `the ${content}'s ${size} bytes have the digest ${received}, not ${expected}`;
  return new DigestInvalidError(message, { detail });
}

export class NameInvalidError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('NAME_INVALID', message, options);
  }
}

export class NameUnknownError extends RegistryError {
  constructor(name: string, hint = '') {
    super('NAME_UNKNOWN', `${ERROR_CODES.NAME_UNKNOWN}: ${name}${hint}`, { detail: { name } });
  }
}

export class BlobUnknownError extends RegistryError {
  constructor(digest: string) {
    super('BLOB_UNKNOWN', undefined, { detail: { digest } });
  }
}

/** The blob cannot be deleted because a manifest of the repository refers to it. */
export class BlobNeededError extends RegistryError {
  constructor(manifest: string) {
    super('DENIED', `the manifest ${manifest} needs this blob; delete the manifest first`, {
      detail: { manifest },
    });
  }
}

/** The manifest cannot be deleted because an index of the repository lists it. */
export class ManifestNeededError extends RegistryError {
  constructor(index: string) {
    super('DENIED', `the index ${index} lists this manifest; delete the index first`, {
      detail: { manifest: index },
    });
  }
}

/** A Range header that starts beyond the end of the blob. */
export class RangeNotSatisfiableError extends RegistryError {
  constructor(readonly sizeBytes: number) {
    super('SIZE_INVALID', 'the range is not within the blob', { detail: { size: sizeBytes } });
  }
}

export class ManifestUnknownError extends RegistryError {
  constructor(reference: string) {
    super('MANIFEST_UNKNOWN', `${ERROR_CODES.MANIFEST_UNKNOWN}: ${reference}`, { detail: { reference } });
  }
}

/** Begins the message of each error about the content of a manifest. */
export const INVALID_MANIFEST = 'invalid manifest';

export class ManifestInvalidError extends RegistryError {
  /** @param reason what is wrong with the manifest. */
  constructor(reason: string, options?: RegistryErrorOptions) {
    super('MANIFEST_INVALID', `${INVALID_MANIFEST}: ${reason}`, options);
  }
}

export class ManifestTooLargeError extends RegistryError {
  constructor(maxBytes: number) {
    super('MANIFEST_INVALID', `the manifest is larger than ${maxBytes} bytes, the limit MANIFEST_MAX_BYTES`);
  }
}

/** A tag that breaks the spec's grammar. The spec has no code of its own for it. */
export class TagInvalidError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('MANIFEST_INVALID', message ?? 'invalid tag', options);
  }
}

/** Digests in a message. Clients print the message of the first error, and nothing else. */
const MAX_NAMED = 10;

/**
 * A manifest refers to blobs or manifests that its repository does not have. The response has one error for
 * each, up to a limit.
 */
export class ManifestBlobUnknownError extends RegistryError {
  constructor(readonly digests: readonly string[]) {
    const named = digests.slice(0, MAX_NAMED).join(', ');
    const more = digests.length > MAX_NAMED ? ` and ${digests.length - MAX_NAMED} more` : '';
    const action = digests.length === 1 ? 'push it first' : 'push them first';
    super('MANIFEST_BLOB_UNKNOWN', `the repository does not have ${named}${more}: ${action}`, {
      detail: { digest: digests[0] },
    });
  }
}

export class SizeInvalidError extends RegistryError {
  constructor(message: string, options?: RegistryErrorOptions) {
    super('SIZE_INVALID', message, options);
  }
}

export class BlobUploadUnknownError extends RegistryError {
  constructor(id: string) {
    super('BLOB_UPLOAD_UNKNOWN', undefined, { detail: { id } });
  }
}

export class BlobUploadInvalidError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('BLOB_UPLOAD_INVALID', message, options);
  }
}

/** `If-Match` or `If-Unmodified-Since` does not hold. The spec has no code of its own for it. */
export class PreconditionFailedError extends RegistryError {
  constructor() {
    super('UNSUPPORTED', 'If-Match or If-Unmodified-Since does not hold');
  }
}

/** A query parameter or a header that is malformed or repeated. The spec has no code of its own for it. */
export class ParameterInvalidError extends RegistryError {
  constructor(message: string) {
    super('UNSUPPORTED', message);
  }
}

/** The endpoint exists, but not with this method. */
export class MethodNotAllowedError extends RegistryError {
  /** @param allowedMethods as in the `Allow` header. */
  constructor(readonly allowedMethods: string) {
    super('UNSUPPORTED', 'the endpoint does not have this method');
  }
}
