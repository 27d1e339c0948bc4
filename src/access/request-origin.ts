import type { AuthorizedRequest } from './access.guard.js';

const MAX_USER_AGENT_LENGTH = 256;

/** The sender, the address and the id of a request, as stored in rows and events. */
export function originOf(request: AuthorizedRequest) {
  return {
    actor: request.caller.name,
    clientAddress: request.clientAddress ?? null,
    userAgent: request.headers['user-agent']?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
    requestId: request.id,
  };
}
