import { parse } from 'node:querystring';
import type { Request } from 'express';
import { formatUploadRange } from '../oci/content-range.js';
import { BlobUploadInvalidError } from '../oci/errors.js';
import { parseUploadOffset } from '../oci/upload-offset.js';
import { singleHeader } from '../transfer/request-headers.js';
import type { UploadReference } from '../uploads/session/upload-session.js';

/**
 * The headers that say where a session is. The Location is a path: behind a proxy, Berth does not know its
 * own host. It names the offset that it is given for, so that a body which is repeated there is not appended
 * twice (ADR 23). Clients add the query parameter `digest`. Unlike the Range, Upload-Offset is also exact for
 * a session of one byte or none.
 */
export function sessionHeaders({
  repository,
  id,
  offsetBytes,
}: UploadReference & { readonly offsetBytes: number }): Record<string, string> {
  return {
    Location: `/v2/${repository}/blobs/uploads/${id}?offset=${offsetBytes}`,
    Range: formatUploadRange(offsetBytes),
    'Upload-Offset': String(offsetBytes),
    'Docker-Upload-UUID': id,
  };
}

/**
 * The query of a request to a session. Scripts append `?digest=` to a Location that has a query already, so a
 * second `?` counts as `&`. No parameter of these endpoints contains one.
 */
export function sessionQuery({ originalUrl }: Request): Pick<Request, 'query'> {
  const [, ...queries] = originalUrl.split('?');
  return { query: parse(queries.join('&')) };
}

/**
 * The offset that the Location was given for; undefined if the client uses the bare path of the session.
 *
 * @throws BlobUploadInvalidError if it is malformed or repeated.
 */
export function locationOffset(request: Request): number | undefined {
  const { query } = sessionQuery(request);
  if (query.offset === undefined) return undefined;
  const offset =
    typeof query.offset === 'string' && /^[0-9]+$/.test(query.offset) ? Number(query.offset) : NaN;
  if (!Number.isSafeInteger(offset)) {
    throw new BlobUploadInvalidError('invalid query parameter offset: expected the one of the Location');
  }
  return offset;
}

/**
 * Where the body begins, as the header `Upload-Offset` states it; undefined without that header.
 *
 * @throws BlobUploadInvalidError if it is malformed or repeated.
 */
export function statedOffset(request: Request): number | undefined {
  const text = singleHeader(request, 'upload-offset', (message) => new BlobUploadInvalidError(message));
  return text === undefined ? undefined : parseUploadOffset(text);
}
