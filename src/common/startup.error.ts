/** Berth can't start. The message is one sentence that an operator can act on; it is all that is printed. */
export class StartupError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StartupError';
  }
}
