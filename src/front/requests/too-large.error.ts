/** A body is larger than a front keeps of a request. */
export class TooLargeError extends Error {
  constructor(maxBytes: number) {
    super(`the body is larger than ${maxBytes} bytes`);
    this.name = 'TooLargeError';
  }
}
