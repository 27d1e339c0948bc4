import { ValidateBy } from 'class-validator';

const MIN_BYTES = 12;
const MAX_BYTES = 256;

/** What a password must be. */
export const PASSWORD_RULE = `expected ${MIN_BYTES} to ${MAX_BYTES} bytes without control characters`;

/** Whether a text can be a password. HTTP's Basic scheme has no control characters (RFC 7617, section 2). */
export function isPassword(value: unknown): value is string {
  if (typeof value !== 'string' || /\p{Cc}/u.test(value)) return false;
  const bytes = Buffer.byteLength(value);
  return bytes >= MIN_BYTES && bytes <= MAX_BYTES;
}

export const IsPassword = () =>
  ValidateBy({
    name: 'password',
    validator: { validate: isPassword, defaultMessage: () => PASSWORD_RULE },
  });
