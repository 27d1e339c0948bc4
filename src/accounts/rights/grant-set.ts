import type { GrantRole, GrantSubject } from '../../database/entities/grant.entity.js';
import { EVERY_NAME, mergeRanges, type NameRange, namesBelow, onlyName } from '../../oci/name-range.js';
import { BELOW, EVERYTHING } from '../grants/pattern.js';
import { ACTIONS_OF, type RepositoryAction } from '../grants/role.js';

/** A grant that reaches a caller. */
export interface Grant {
  readonly id: string;
  readonly subject: GrantSubject;
  /** The group, for a grant that reaches the caller through one. */
  readonly group: string | null;
  readonly pattern: string;
  readonly role: GrantRole;
}

/** The grants that reach a caller. Rights only add up, so each question is whether one of them allows it. */
export class GrantSet {
  private readonly byPattern = new Map<string, Grant[]>();
  private readonly rangesByAction = new Map<RepositoryAction, readonly NameRange[]>();

  constructor(readonly grants: readonly Grant[]) {
    for (const grant of grants) {
      const same = this.byPattern.get(grant.pattern);
      if (same === undefined) this.byPattern.set(grant.pattern, [grant]);
      else same.push(grant);
    }
  }

  /** Whether a grant allows an action on a repository. Looks at the patterns that can match the name. */
  allows(repository: string, action: RepositoryAction): boolean {
    return this.find(repository, action).next().done !== true;
  }

  /** All grants that allow an action on a repository. */
  thatAllow(repository: string, action: RepositoryAction): Grant[] {
    return [...this.find(repository, action)];
  }

  /** The names on which an action is allowed, as ranges in byte order that neither overlap nor touch. */
  ranges(action: RepositoryAction): readonly NameRange[] {
    const known =
      this.rangesByAction.get(action) ?? mergeRanges(this.grants.filter(allowing(action)).map(rangeOf));
    this.rangesByAction.set(action, known);
    return known;
  }

  private *find(repository: string, action: RepositoryAction): Generator<Grant> {
    for (const pattern of patternsMatching(repository)) {
      for (const grant of this.byPattern.get(pattern) ?? []) if (allowing(action)(grant)) yield grant;
    }
  }
}

export const NO_GRANTS = new GrantSet([]);

/** `**`, `a/**` and `a/b` for `a/b`. */
export function* patternsMatching(repository: string): Generator<string> {
  yield EVERYTHING;
  for (let slash = repository.indexOf('/'); slash !== -1; slash = repository.indexOf('/', slash + 1)) {
    yield `${repository.slice(0, slash)}${BELOW}`;
  }
  yield repository;
}

function allowing(action: RepositoryAction): (grant: Grant) => boolean {
  return ({ role }) => ACTIONS_OF[role].includes(action);
}

function rangeOf({ pattern }: Grant): NameRange {
  if (pattern === EVERYTHING) return EVERY_NAME;
  return pattern.endsWith(BELOW) ? namesBelow(pattern.slice(0, -BELOW.length)) : onlyName(pattern);
}
