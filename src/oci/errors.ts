import { ERROR_CODES, type ErrorCode } from './error-codes.js';

export interface RegistryErrorOptions {
  /** What a client's author needs to see, as JSON; never a secret, never another repository's data. */
  readonly detail?: unknown;
  readonly cause?: unknown;
  /** Where the spec has another status than the code's own: 413 for a manifest's size, 416 for a range. */
  readonly status?: number;
  /** Response headers that belong to the error, such as `Range` or `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error that a client of the distribution spec is told in the spec's words. Services throw its subclasses. */
export class RegistryError extends Error {
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    message: string = ERROR_CODES[code].message,
    options: RegistryErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.status = options.status ?? ERROR_CODES[code].status;
    this.detail = options.detail;
    this.headers = options.headers ?? {};
  }
}

export class DigestInvalidError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('DIGEST_INVALID', message, options);
  }
}

export class NameInvalidError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('NAME_INVALID', message, options);
  }
}

export class NameUnknownError extends RegistryError {
  constructor(name: string) {
    super('NAME_UNKNOWN', undefined, { detail: { name } });
  }
}

export class BlobUnknownError extends RegistryError {
  constructor(digest: string) {
    super('BLOB_UNKNOWN', undefined, { detail: { digest } });
  }
}

/** A blob can't be deleted from a repository while one of its manifests refers to the blob. */
export class BlobNeededError extends RegistryError {
  constructor(manifest: string) {
    super('DENIED', `the manifest ${manifest} needs this blob; delete the manifest first`, {
      status: 405,
      // RFC 9110, section 15.5.6: a 405 names the methods that work.
      headers: { Allow: 'GET, HEAD' },
      detail: { manifest },
    });
  }
}

export class ManifestUnknownError extends RegistryError {
  constructor(reference: string) {
    super('MANIFEST_UNKNOWN', undefined, { detail: { reference } });
  }
}

export class ManifestInvalidError extends RegistryError {
  constructor(message: string, options?: RegistryErrorOptions) {
    super('MANIFEST_INVALID', message, options);
  }
}

export class SizeInvalidError extends RegistryError {
  constructor(message: string, options?: RegistryErrorOptions) {
    super('SIZE_INVALID', message, options);
  }
}

export class UnsupportedError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('UNSUPPORTED', message, options);
  }
}

/** A tag that breaks the spec's grammar. The spec has no code of its own for it: 400 MANIFEST_INVALID. */
export class TagInvalidError extends RegistryError {
  constructor(message?: string, options?: RegistryErrorOptions) {
    super('MANIFEST_INVALID', message ?? 'invalid tag', options);
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

/** A manifest names blobs or manifests that its repository doesn't have; the answer has one error for each. */
export class ManifestBlobUnknownError extends RegistryError {
  constructor(readonly digests: readonly string[]) {
    super('MANIFEST_BLOB_UNKNOWN', undefined, { detail: { digest: digests[0] } });
  }
}
