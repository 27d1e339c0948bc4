import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';

/** `uri-host [":" port]` (RFC 9112, section 3.2): an IP literal or a registered name. It may be empty. */
const AUTHORITY = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i;
const ABSOLUTE_FORM = /^http(s?):\/\/([^/?#]+)(.*)$/is;
const SLASH = '/'.charCodeAt(0);

/** Whether the request came over TLS that ends at this server. */
export function isSecure({ socket }: IncomingMessage): boolean {
  return socket instanceof TLSSocket;
}

/** Whether the text is a valid `Host` header or authority of a URL. */
export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text);
}

/**
 * Turns a whole URL, as clients send it to a proxy, into a path. Its authority replaces the `Host` header
 * (RFC 9112, section 3.2.2).
 *
 * @returns false if the request target is not valid for a server.
 */
export function resolveTarget(request: IncomingMessage): boolean {
  const { url = '', method } = request;
  if (url.charCodeAt(0) === SLASH) return true;
  if (url === '*') return method === 'OPTIONS';
  const [, secure = '', authority = '', path = ''] = ABSOLUTE_FORM.exec(url) ?? [];
  if (secure !== '' && !isSecure(request)) return false;
  if (authority === '' || !isAuthority(authority)) return false;
  request.headers.host = authority;
  request.url = path.startsWith('/') ? path : `/${path}`;
  return true;
}
