import { Injectable } from '@nestjs/common';
import { ANONYMOUS, type Caller } from '../../../access/caller.js';
import { decide, type Question } from '../../../access/decide.js';
import type { AccountName } from '../../../accounts/users/account-name.js';
import type { AccountRights } from '../../../accounts/rights/account-rights.js';
import type { Grant } from '../../../accounts/rights/grant-set.js';
import { AnyAccountUnknownError } from '../../../accounts/groups/group.errors.js';
import { RightsStore } from '../../../accounts/rights/rights.store.js';
import { describeDecision } from './describe-decision.js';

/** What keeps a caller from doing something. */
export const MISSING = ['enabled', 'time', 'credentials', 'grant', 'role'] as const;
export type Missing = (typeof MISSING)[number];

export interface ExplainedDecision {
  readonly isAllowed: boolean;
  readonly missing: Missing | null;
  /** Grants that allow it, also if something else is missing. */
  readonly grants: readonly Grant[];
}

/** Explains what the one decision about access says, with its reasons. */
@Injectable()
export class ExplainService {
  constructor(private readonly rights: RightsStore) {}

  /**
   * Reads the rights from the database, as they are now.
   *
   * @param name undefined: callers without credentials.
   * @throws AnyAccountUnknownError
   */
  async explain(name: AccountName | undefined, question: Question) {
    const caller = name === undefined ? await this.anonymous() : await this.callerOf(name);
    const decision = explained(caller, question);
    return { ...decision, explanation: describeDecision(caller, question, decision) };
  }

  /** As if it had just logged in with its password. */
  private async callerOf(name: AccountName): Promise<Caller> {
    const account = await this.rights.account(name);
    if (account === undefined) throw new AnyAccountUnknownError(name);
    const { grants, passwordGeneration: generation } = account;
    return { name, account, grants, credential: { kind: 'password', generation }, ceiling: null };
  }

  private async anonymous(): Promise<Caller> {
    return { ...ANONYMOUS, grants: await this.rights.anonymous() };
  }
}

function explained(caller: Caller, question: Question): ExplainedDecision {
  const { grants, missing } = decide(caller, question);
  const first = missingFirst(caller) ?? (missing === 'grant' || missing === 'role' ? missing : null);
  return { isAllowed: first === null, missing: first, grants };
}

/** What is checked before rights are. Without an anonymous grant, nobody gets in without credentials. */
function missingFirst({ account, grants }: Caller): Missing | undefined {
  if (account === null) return grants.grants.length === 0 ? 'credentials' : undefined;
  if (account.isDisabled) return 'enabled';
  return hasExpired(account) ? 'time' : undefined;
}

function hasExpired({ expiresAt }: AccountRights): boolean {
  return expiresAt !== null && expiresAt.getTime() <= Date.now();
}
