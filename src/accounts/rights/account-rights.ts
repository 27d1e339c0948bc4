import type { AccountKind, RegistryRole } from '../../database/entities/account.entity.js';
import type { GrantSet } from './grant-set.js';

/** An account as access control sees it. Deleted accounts have none. */
export interface AccountRights {
  readonly id: string;
  readonly name: string;
  readonly kind: AccountKind;
  readonly registryRole: RegistryRole | null;
  readonly isDisabled: boolean;
  readonly expiresAt: Date | null;
  readonly passwordGeneration: number;
  /** Also those of its groups, and of every signed-in and anonymous caller. */
  readonly grants: GrantSet;
}

/** A secret as access control sees it. */
export interface SecretRights {
  readonly id: string;
  readonly accountId: string;
  readonly sha256: Buffer;
  /** `pull`: a login with it may pull, whatever the account may do. */
  readonly ceiling: 'pull' | null;
  readonly expiresAt: Date | null;
  readonly isRevoked: boolean;
  readonly lastUsedAt: Date | null;
}
