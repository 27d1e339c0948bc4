/**
 * A stored midstate is invalid: a field is missing, malformed or contradicts another. The message never
 * quotes it.
 */
export class MidstateInvalidError extends Error {
  override readonly name = 'MidstateInvalidError';

  constructor(expected: string) {
    super(`malformed hash midstate: ${expected}`);
  }
}
