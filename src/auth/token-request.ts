import { isJsonObject, type JsonObject } from '../oci/json.js';
import { parseScopes, type ScopeAccess } from '../tokens/scope.js';
import { TokenRequestError } from '../tokens/token.errors.js';

/** A request for a token by `POST` (distribution, "OAuth2 token specification"). */
export type TokenForm =
  | { readonly grant: 'password'; readonly username: string; readonly password: string }
  | { readonly grant: 'refresh_token'; readonly secret: string };

/** The scopes of a query or a form. @throws TooManyScopesError */
export function requestedScopes(from: unknown): ScopeAccess[] {
  const scope = isJsonObject(from) ? from['scope'] : undefined;
  const values: unknown[] = Array.isArray(scope) ? scope : [scope];
  return parseScopes(values.filter((value) => typeof value === 'string'));
}

/**
 * The credentials of a form. `service`, `client_id` and `access_type` are ignored: there is one service, and
 * there are no refresh tokens.
 *
 * @throws TokenRequestError
 */
export function parseForm(body: unknown): TokenForm {
  if (!isJsonObject(body)) {
    throw new TokenRequestError('invalid_request', 'expected a form with grant_type, username and password');
  }
  const grant = field(body, 'grant_type');
  switch (grant) {
    case 'password':
      return { grant, username: field(body, 'username'), password: field(body, 'password') };
    case 'refresh_token':
      return { grant, secret: field(body, 'refresh_token') };
    default:
      throw new TokenRequestError('unsupported_grant_type', 'grant_type: expected password or refresh_token');
  }
}

/** The message does not have the value: it may be a password. */
function field(form: JsonObject, name: string): string {
  const value = form[name];
  if (typeof value !== 'string' || value === '') {
    throw new TokenRequestError('invalid_request', `${name}: expected it once in the form`);
  }
  return value;
}
