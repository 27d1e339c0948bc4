import type { GrantRole, GrantSubject } from '../database/entities/grant.entity.js';
import { EVERYTHING, prefixOf } from './pattern.js';
import { ACTIONS_OF, type RepositoryAction } from './role.js';

/** A grant that reaches a caller. */
export interface Grant {
  readonly id: string;
  readonly subject: GrantSubject;
  /** The group, for a grant that reaches the caller through one. */
  readonly group: string | null;
  readonly pattern: string;
  readonly role: GrantRole;
}

/** Names from `from` (included) to `to` (excluded; null: no end), in byte order. */
export interface NameRange {
  readonly from: string;
  readonly to: string | null;
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
      this.rangesByAction.get(action) ?? merged(this.grants.filter(allowing(action)).map(rangeOf));
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
function* patternsMatching(repository: string): Generator<string> {
  yield EVERYTHING;
  for (let slash = repository.indexOf('/'); slash !== -1; slash = repository.indexOf('/', slash + 1)) {
    yield `${repository.slice(0, slash)}/**`;
  }
  yield repository;
}

function allowing(action: RepositoryAction): (grant: Grant) => boolean {
  return ({ role }) => ACTIONS_OF[role].includes(action);
}

function rangeOf({ pattern }: Grant): NameRange {
  const prefix = prefixOf(pattern);
  // Every character of names is greater than `!`. A prefix ends with `/`, and `0` is the character after it.
  if (prefix === undefined) return { from: pattern, to: `${pattern}!` };
  return { from: prefix, to: prefix === '' ? null : `${prefix.slice(0, -1)}0` };
}

/** Names are ASCII, so JavaScript's order of texts is the order of bytes. */
function merged(ranges: readonly NameRange[]): NameRange[] {
  const result: NameRange[] = [];
  for (const range of [...ranges].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const last = result.at(-1);
    if (last !== undefined && (last.to === null || range.from <= last.to)) {
      const to = last.to === null || range.to === null ? null : range.to > last.to ? range.to : last.to;
      result[result.length - 1] = { from: last.from, to };
    } else {
      result.push(range);
    }
  }
  return result;
}
