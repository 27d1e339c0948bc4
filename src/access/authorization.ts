import { isUtf8 } from 'node:buffer';

/** Longer than any token that Berth issues, and than any password. */
const MAX_LENGTH = 16 * 1024;

/** `auth-scheme 1*SP token68` (RFC 9110, section 11.4). */
const CREDENTIALS = /^([a-z]+) +([\w.~+/-]+=*)$/i;

/** Control characters, which the scheme Basic does not allow (RFC 7617, section 2). */
const CONTROLS = /\p{Cc}/u;

/** The content of an `Authorization` header. */
export type Authorization =
  | { readonly scheme: 'basic'; readonly name: string; readonly password: string }
  | { readonly scheme: 'bearer'; readonly token: string };

/**
 * Parses an `Authorization` header: Basic (RFC 7617, in UTF-8) or Bearer (RFC 6750). Returns undefined for
 * every other scheme, and if the header is malformed or longer than 16 KiB.
 */
export function parseAuthorization(header: string): Authorization | undefined {
  if (header.length > MAX_LENGTH) return undefined;
  const [, scheme = '', credentials = ''] = CREDENTIALS.exec(header) ?? [];
  switch (scheme.toLowerCase()) {
    case 'basic':
      return parseBasic(credentials);
    case 'bearer':
      return { scheme: 'bearer', token: credentials };
    default:
      return undefined;
  }
}

function parseBasic(credentials: string): Authorization | undefined {
  const bytes = Buffer.from(credentials, 'base64');
  // Node decodes any text. So the text must be what Node encodes.
  if (bytes.toString('base64') !== credentials || !isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  const colon = text.indexOf(':');
  if (colon === -1 || CONTROLS.test(text)) return undefined;
  return { scheme: 'basic', name: text.slice(0, colon), password: text.slice(colon + 1) };
}
