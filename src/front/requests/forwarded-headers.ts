import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { isSecure } from '../../http/connection/request-target.js';
import type { RequestRecord } from '../../observability/logged-request.js';

/** Headers of one connection (RFC 9110, section 7.6.1), and those that a front writes itself. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['proxy-authenticate', 'proxy-authorization', 'expect'],
  ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'forwarded', 'x-request-id', 'prefer'],
]);

/** A request of a client, with what Express and the access log know of it. */
export type ClientRequest = IncomingMessage &
  RequestRecord & { readonly protocol?: string; readonly host?: string };

/**
 * The headers of a client's request for a replica. The client's address, host and scheme are those that
 * `TRUSTED_PROXIES` of the front allow, and count at replicas that trust the front.
 */
export function forwardedHeaders(request: ClientRequest): OutgoingHttpHeaders {
  const { headers, clientAddress, id } = request;
  const host = headers.host ?? '';
  const { 'content-length': _, ...kept } = endToEnd(request);
  return {
    ...kept,
    host,
    'x-forwarded-for': clientAddress ?? '',
    'x-forwarded-host': request.host ?? host,
    'x-forwarded-proto': request.protocol ?? (isSecure(request) ? 'https' : 'http'),
    'x-request-id': id,
  };
}

/** The headers of a replica's answer for the client. */
export function answerHeaders(message: IncomingMessage): OutgoingHttpHeaders {
  return endToEnd(message);
}

/** All headers that are not of the connection. Repeated ones stay repeated. */
function endToEnd({ headers: { connection = '' }, headersDistinct }: IncomingMessage): OutgoingHttpHeaders {
  const named = new Set(connection.toLowerCase().split(/\s*,\s*/));
  const kept: OutgoingHttpHeaders = {};
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    if (!NOT_FORWARDED.has(name) && !named.has(name)) kept[name] = values.length === 1 ? values[0] : values;
  }
  return kept;
}
