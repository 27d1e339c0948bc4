import type { AuthorizedRequest } from '../access/access.guard.js';
import { type RequestKey, requestKey } from '../idempotency/request-key.js';
import { ParameterInvalidError } from '../oci/errors.js';
import { singleHeader } from '../transfer/request-headers.js';

const VISIBLE = /^[!-~]{1,255}$/;

/**
 * The key of a request with the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). Berth
 * compares the header's text, and does not parse it.
 *
 * @throws ParameterInvalidError if the header is repeated, or is not 1 to 255 visible ASCII characters.
 */
export function requestKeyOf(request: AuthorizedRequest): RequestKey | undefined {
  const text = singleHeader(request, 'idempotency-key', (message) => new ParameterInvalidError(message));
  if (text === undefined) return undefined;
  if (!VISIBLE.test(text))
    throw new ParameterInvalidError('Idempotency-Key: expected 1 to 255 visible ASCII characters');
  const { caller, method, originalUrl, headers } = request;
  const contentType = headers['content-type'] ?? null;
  return requestKey({ caller: caller.name, method, target: originalUrl, contentType, idempotencyKey: text });
}
