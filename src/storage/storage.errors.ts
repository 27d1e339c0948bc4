/** A storage driver could not do what it was asked to. `cause` has the medium's own error. */
export class StorageError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No object has this key. */
export class ObjectNotFoundError extends StorageError {
  constructor(key: string, options?: { cause?: unknown }) {
    super(`no object has the key ${key}`, options);
  }
}

/** The medium is full, or a quota is used up. */
export class StorageFullError extends StorageError {}

/** The storage can't be reached, or asks for patience: what failed may succeed later. */
export class StorageUnavailableError extends StorageError {}

/**
 * The storage isn't the one that belongs to the database: its mount is missing, or another one is in its
 * place.
 */
export class StorageIdentityError extends StorageUnavailableError {}

/** What is stored under the name of the identity isn't one: it was damaged, or somebody else wrote it. */
export class DamagedIdentityError extends StorageError {}

/** The state of an upload doesn't fit what the medium holds (fewer bytes than were flushed, say). */
export class UploadStateError extends StorageError {}

/** A text that is no object key was about to be used as one. */
export class InvalidObjectKeyError extends StorageError {
  constructor() {
    super('not an object key');
  }
}
