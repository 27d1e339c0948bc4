import type { AuditOrigin } from '../../audit/audit-event.js';
import type { AccountRights } from '../rights/account-rights.js';
import { UnauthorizedError } from './login.errors.js';

/** The request that a login comes with. */
export type LoginOrigin = Omit<AuditOrigin, 'actor'>;

/** What a login was made with. */
export type LoginCredential =
  | { readonly kind: 'password'; readonly generation: number }
  | { readonly kind: 'secret'; readonly id: string };

/** An account that has proved who it is, with the rights that it has now. */
export interface Login {
  readonly account: AccountRights;
  readonly via: LoginCredential;
  /** Of the secret. Limits what the login allows. */
  readonly ceiling: 'pull' | null;
}

/** Whether an account or a secret may be used at all, by the clock of this process. */
export function isInForce({ expiresAt }: { readonly expiresAt: Date | null }): boolean {
  return expiresAt === null || expiresAt.getTime() > Date.now();
}

/** Whether an account may log in, and use what it has logged in with. */
export function isUsable(account: Pick<AccountRights, 'isDisabled' | 'expiresAt'>): boolean {
  return !account.isDisabled && isInForce(account);
}

/**
 * Refuses a login. The message is the same whatever is wrong: it does not tell which names exist.
 *
 * @throws UnauthorizedError
 */
export function loginRefused(): never {
  throw new UnauthorizedError(
    'the user name, password or secret is wrong, or it has expired, or was revoked or disabled: log in again, or ask an administrator of this registry',
    'invalid_token',
  );
}
