/** A storage operation failed. `cause` is the error of the medium. */
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

/** The storage can't be reached or is overloaded. A retry may succeed. */
export class StorageUnavailableError extends StorageError {}

/** The storage is not the one that belongs to the database: its disk is not mounted, or another one is. */
export class StorageIdentityError extends StorageUnavailableError {}

/** The stored identity is damaged, or was not written by Berth. */
export class DamagedIdentityError extends StorageError {}

/** The stored claim is damaged, or was not written by Berth. */
export class DamagedClaimError extends StorageError {}

/** Another database may delete objects in the storage, or none: this one deletes nothing. */
export class StorageClaimError extends StorageError {}

/** The state of an upload doesn't match the medium, for example because the medium holds fewer bytes. */
export class UploadStateError extends StorageError {}

/** A text that is not a valid object key was used as one. */
export class InvalidObjectKeyError extends StorageError {
  constructor() {
    super('not an object key');
  }
}
