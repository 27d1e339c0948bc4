import type { Caller } from '../../../access/caller.js';
import type { Question } from '../../../access/decide.js';
import { type Grant, patternsMatching } from '../../../accounts/rights/grant-set.js';
import { ACTIONS_OF, type RepositoryAction } from '../../../accounts/grants/role.js';
import { GRANT_ROLES } from '../../../database/entities/grant.entity.js';
import type { ExplainedDecision } from './explain.service.js';

/** A decision in one sentence. */
export function describeDecision(caller: Caller, question: Question, decision: ExplainedDecision): string {
  const who = caller.name ?? 'a caller without credentials';
  const what =
    'registry' in question
      ? `${question.action} the ${question.registry} of the registry`
      : `${question.action} ${question.repository}`;
  const reason = decision.isAllowed
    ? reasonFor(caller, decision.grants)
    : reasonAgainst(caller, question, decision);
  return `${who} may ${decision.isAllowed ? '' : 'not '}${what}: ${reason}`;
}

function reasonFor({ account }: Caller, [grant, ...others]: readonly Grant[]): string {
  if (account?.registryRole === 'admin') return 'the account has the registry role admin';
  if (grant === undefined)
    return account?.registryRole === 'reader'
      ? 'the account has the registry role reader'
      : 'every caller may see the list of repositories, which contains what it may pull';
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  return `${describeGrant(grant)}${more}`;
}

function describeGrant({ id, subject, group, pattern, role }: Grant): string {
  const holder = {
    account: 'the account',
    group: `the group ${group}`,
    'signed-in': 'every account',
    anonymous: 'every caller',
  }[subject];
  return `grant ${id} gives ${holder} the role ${role} on ${pattern}`;
}

function reasonAgainst({ account }: Caller, question: Question, { missing }: ExplainedDecision): string {
  switch (missing) {
    case 'enabled':
      return 'the account is disabled';
    case 'time':
      return `the account expired at ${account?.expiresAt?.toISOString()}`;
    case 'credentials':
      return 'no grant is for anonymous callers, so credentials are required';
    case 'role':
      return question.action === 'write'
        ? 'that takes the registry role admin'
        : 'that takes the registry role reader or admin';
    default:
      return 'repository' in question
        ? `that takes a grant with the role ${rolesFor(question.action)} on ` +
            or([...patternsMatching(question.repository)].reverse())
        : 'a grant is missing';
  }
}

function rolesFor(action: RepositoryAction): string {
  return or(GRANT_ROLES.filter((role) => ACTIONS_OF[role].includes(action)));
}

const MAX_LISTED = 5;

/** `a, b or c`. */
function or(words: readonly string[]): string {
  const shown = words.length > MAX_LISTED ? [...words.slice(0, 2), '…', words.at(-1)] : words;
  return shown.length === 1 ? String(shown[0]) : `${shown.slice(0, -1).join(', ')} or ${shown.at(-1)}`;
}
