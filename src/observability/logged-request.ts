import type { IncomingMessage } from 'node:http';
import type { RequestLine } from './request-line.js';

/** What the access log adds to each request, before anything else sees it. */
export interface RequestRecord {
  /** In the log, in the header `X-Request-Id` of the response, and in errors. */
  id: string;
  /** The client's address; behind a trusted proxy, the one that it reports. */
  clientAddress: string | undefined;
  /** The request's line in the log. */
  line: RequestLine;
}

/** A request as the log sees it. Express, the access guard and the server add the optional fields. */
export interface LoggedRequest extends IncomingMessage, RequestRecord {
  /** How much of the body has arrived. */
  readonly bytesReceived?: number;
  readonly ip?: string | undefined;
  readonly originalUrl?: string;
  /** The pattern of the path, if a handler has it. */
  readonly route?: { readonly path: string };
  readonly params?: Readonly<Record<string, unknown>>;
  readonly repository?: string;
  /** Who sent the request, with which kind of credentials. Its name is known to be that of an account. */
  readonly caller?: { readonly name: string | null; readonly credential: { readonly kind: string } };
}
