import type { AccountRights } from '../accounts/rights/account-rights.js';
import { type GrantSet, NO_GRANTS } from '../accounts/rights/grant-set.js';
import type { Login } from '../accounts/logins/login.js';
import type { RepositoryAction } from '../accounts/grants/role.js';
import type { ScopeAccess } from '../tokens/scope.js';

/** What a request proved who its sender is with. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly generation: number }
  | { readonly kind: 'secret'; readonly id: string }
  | {
      readonly kind: 'token';
      readonly id: string;
      /** What the token is for. It limits the caller's rights, and never adds to them. */
      readonly access: readonly ScopeAccess[];
      /** Its time is over, but it is accepted for what it began: see `LateTokens`. */
      readonly isLate: boolean;
    };

/** The sender of a request, with its rights as of now. */
export interface Caller {
  /** In events and in the log. Null: anonymous. */
  readonly name: string | null;
  readonly account: AccountRights | null;
  /** The grants that reach the caller. */
  readonly grants: GrantSet;
  readonly credential: Credential;
  /** Limits the rights of this credential. */
  readonly ceiling: RepositoryAction | null;
}

/** The caller that has logged in. */
export function callerOf({ account, via, ceiling }: Login): Caller {
  return { name: account.name, account, grants: account.grants, credential: via, ceiling };
}

export const ANONYMOUS: Caller = {
  name: null,
  account: null,
  grants: NO_GRANTS,
  credential: { kind: 'none' },
  ceiling: null,
};
