import type { IncomingMessage } from 'node:http';
import type { LoginOrigin } from '../accounts/logins/login.js';
import type { AuditOrigin } from '../audit/audit-event.js';
import type { RequestRecord } from '../observability/logged-request.js';
import type { AuthorizedRequest } from './access.guard.js';

const MAX_USER_AGENT_LENGTH = 256;

/** The sender and the address of a request, as stored in rows and events. */
export function originOf(request: AuthorizedRequest): AuditOrigin {
  return { actor: request.caller.name, ...clientOf(request) };
}

/** The address of a request, before its sender is known. */
export function clientOf(request: IncomingMessage & RequestRecord): LoginOrigin {
  return {
    clientAddress: request.clientAddress ?? null,
    userAgent: request.headers['user-agent']?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
    requestId: request.id,
  };
}
