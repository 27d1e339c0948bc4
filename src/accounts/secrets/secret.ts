import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { SECRET_PREFIX } from '../../config/password.js';

const ID_LENGTH = 12;
const BASE36_DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';
const BASE62_DIGITS = `0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ${BASE36_DIGITS.slice(10)}`;
/** 256 bits in base 62. */
const KEY_BYTES = 32;
const KEY_LENGTH = 43;
/** 32 bits in base 62. */
const CHECKSUM_LENGTH = 6;

const SECRET = /^berth_([0-9a-z]{12})_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/;

/** A secret of an account, before it is hashed. */
export interface NewSecret {
  /** Public: the key of its row. */
  readonly id: string;
  /** The secret itself. It is shown once and stored nowhere. */
  readonly text: string;
  /** Of the whole text. A hash for passwords is not needed: 2^256 keys can't be tried. */
  readonly sha256: Buffer;
}

/**
 * Makes a secret:
 *
 *     berth_<id>_<key>_<checksum>
 *            │    │     └ CRC32 of all before its `_`, 6 digits in base 62
 *            │    └ 256 random bits, 43 digits in base 62
 *            └ 62 random bits, 12 digits in base 36
 *
 * The checksum lets scanners of source code recognise secrets, and finds typing errors without the database.
 */
export function createSecret(): NewSecret {
  const id = toDigits(randomBytes(16), BASE36_DIGITS, ID_LENGTH);
  const key = toDigits(randomBytes(KEY_BYTES), BASE62_DIGITS, KEY_LENGTH);
  const body = `${SECRET_PREFIX}${id}_${key}`;
  const text = `${body}_${checksumOf(body)}`;
  return { id, text, sha256: hashOf(text) };
}

/** Whether a text is meant to be a secret. Then it is never taken for a password. */
export function isMeantAsSecret(text: string): boolean {
  return text.startsWith(SECRET_PREFIX);
}

/** The id and the hash of a secret. Undefined if the text has another form, or its checksum is wrong. */
export function parseSecret(text: string): Omit<NewSecret, 'text'> | undefined {
  const id = SECRET.exec(text)?.[1];
  if (id === undefined) return undefined;
  const body = text.slice(0, -(CHECKSUM_LENGTH + 1));
  if (!text.endsWith(checksumOf(body))) return undefined;
  return { id, sha256: hashOf(text) };
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function checksumOf(body: string): string {
  let rest = crc32(body);
  let digits = '';
  for (let n = 0; n < CHECKSUM_LENGTH; n += 1) {
    digits = BASE62_DIGITS.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** The last `length` digits of a big-endian number. */
function toDigits(bytes: Buffer, alphabet: string, length: number): string {
  const base = BigInt(alphabet.length);
  let rest = BigInt(`0x${bytes.toString('hex')}`);
  let digits = '';
  for (let n = 0; n < length; n += 1) {
    digits = alphabet.charAt(Number(rest % base)) + digits;
    rest /= base;
  }
  return digits;
}
