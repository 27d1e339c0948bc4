/** The bytes are no plain tar, or one that no tarsum is defined for. The message says why. */
export class TarInvalidError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = new.target.name;
  }
}
