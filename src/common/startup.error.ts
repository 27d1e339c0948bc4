/**
 * Berth can't start. Only the message is printed: one sentence with what is wrong and what to do. It ends
 * with one full stop, also if it quotes a library's message that ends with one.
 */
export class StartupError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(`${message.replace(/[\s.]+$/, '')}.`, options);
    this.name = 'StartupError';
  }
}
