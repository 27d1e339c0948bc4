import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { type ClientRequest, forwardedHeaders } from '../requests/forwarded-headers.js';

/** A request of a client that brings bytes to an upload session. */
export interface UploadRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Those that do not say where the body begins. */
  readonly headers: OutgoingHttpHeaders;
  /** What the client's headers say of that. */
  readonly offsetHeaders: OutgoingHttpHeaders;
  /** Where the body begins, if the request says so. */
  readonly start: number | undefined;
  /** The length of the body; `Infinity` if it is unknown. */
  readonly lengthBytes: number;
  /** Whether the client waits for `100 Continue`. */
  readonly expectsContinue: boolean;
}

const OFFSET_HEADERS = ['content-range', 'upload-offset'];

/** Takes what matters out of a PATCH or PUT with a body. Nothing is refused here: the replica does that. */
export function uploadRequestOf(request: ClientRequest): UploadRequest {
  const { method = '', url: target = '', headers: given } = request;
  const all = Object.entries(forwardedHeaders(request));
  const isOffset = ([name]: [string, unknown]) => OFFSET_HEADERS.includes(name);
  return {
    method,
    target,
    headers: Object.fromEntries(all.filter((entry) => !isOffset(entry))),
    offsetHeaders: Object.fromEntries(all.filter(isOffset)),
    start: startOf(request),
    lengthBytes: given['transfer-encoding'] === undefined ? Number(given['content-length'] ?? 0) : Infinity,
    expectsContinue: given.expect !== undefined,
  };
}

/** By a header, or by the Location that the request was sent to (docs/adr/0023). */
function startOf({ headers, url = '' }: IncomingMessage): number | undefined {
  const { 'upload-offset': offset, 'content-range': range } = headers;
  if (typeof offset === 'string') return offsetIn(offset, /^(\d+)$/);
  if (range !== undefined) return offsetIn(range, /^(?:bytes )?(\d+)-/);
  return offsetIn(url, /[?&]offset=(\d+)(?:[?&]|$)/);
}

function offsetIn(text: string, pattern: RegExp): number | undefined {
  const offset = Number(pattern.exec(text)?.[1] ?? NaN);
  return Number.isSafeInteger(offset) ? offset : undefined;
}

/** The path of a target, without its query. */
export function pathOf(target: string): string {
  return target.split('?', 1)[0] ?? '';
}
