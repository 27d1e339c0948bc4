import type { IncomingMessage } from 'node:http';

/** `uri-host [":" port]` (RFC 9112, section 3.2): an IP literal or a registered name. It may be empty. */
const AUTHORITY = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i;
const ABSOLUTE_FORM = /^http:\/\/([^/?#]+)(.*)$/is;
const SLASH = '/'.charCodeAt(0);

/** Whether a `Host` header, or the authority of a URL, has the right form. */
export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text);
}

/**
 * Makes sure that `url` is a path, and `headers.host` the host that the request is meant for. A client of a
 * proxy sends the whole URL; its authority then replaces the `Host` header (RFC 9112, section 3.2.2).
 *
 * @returns false if the request target has none of the forms that a server may be sent.
 */
export function resolveTarget(request: IncomingMessage): boolean {
  const { url = '', method } = request;
  if (url.charCodeAt(0) === SLASH) return true;
  if (url === '*') return method === 'OPTIONS';
  const [, authority = '', path = ''] = ABSOLUTE_FORM.exec(url) ?? [];
  if (authority === '' || !isAuthority(authority)) return false;
  request.headers.host = authority;
  request.url = path.startsWith('/') ? path : `/${path}`;
  return true;
}
