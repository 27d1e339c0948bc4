import { ValidateBy } from 'class-validator';

const MIN_BYTES = 12;
const MAX_BYTES = 256;

/** Secrets of accounts begin with it. They are sent in place of passwords. */
export const SECRET_PREFIX = 'berth_';

/** What a password must be. */
export const PASSWORD_RULE = `expected ${MIN_BYTES} to ${MAX_BYTES} bytes without control characters, not beginning with ${SECRET_PREFIX}`;

/** Whether a text can be a password. HTTP's Basic scheme has no control characters (RFC 7617, section 2). */
export function isPassword(value: unknown): value is string {
  if (typeof value !== 'string' || /\p{Cc}/u.test(value) || value.startsWith(SECRET_PREFIX)) return false;
  const bytes = Buffer.byteLength(value);
  return bytes >= MIN_BYTES && bytes <= MAX_BYTES;
}

export const IsPassword = () =>
  ValidateBy({
    name: 'password',
    validator: { validate: isPassword, defaultMessage: () => PASSWORD_RULE },
  });
