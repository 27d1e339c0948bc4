import { Injectable } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { countRefusal } from '../../observability/metrics/limit.metrics.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { TooManySessionsError } from '../upload.errors.js';

/** How long a count of open sessions is valid, also one at the limit. */
const VALID_MS = 1_000;
/** A count is also repeated after this part of the limit was started. */
const STARTS_PER_LIMIT = 1 / 100;
/** Counts that are remembered. */
const MAX_KNOWN = 1_000;

/** Numbers of open sessions, or limits of them (0: no limit). */
export interface OpenSessions {
  readonly all: number;
  readonly ofRepository: number;
}

/** What was counted: the sessions of a repository, or all of them. */
type Counted = RepositoryName | 'ALL';

interface Known {
  readonly validUntil: number;
  readonly isReached: boolean;
  /** Sessions that this process may start until the next count. */
  startsLeft: number;
}

/**
 * Limits the open upload sessions of all replicas together. Statements that insert a session also count the
 * open ones, at most as many as the limit, and insert nothing at the limit. A count is valid for a second, or
 * for a hundredth of the limit: so each process may exceed the limit by that. A refusal is valid for a
 * second, too, so that a flood of requests costs the database little.
 */
@Injectable()
export class SessionLimits {
  private readonly max: OpenSessions;
  private readonly known = new Map<Counted, Known>();

  constructor({ uploadMaxSessions, uploadMaxSessionsPerRepository }: Configuration) {
    this.max = { all: uploadMaxSessions, ofRepository: uploadMaxSessionsPerRepository };
  }

  /**
   * Which limits the next insertion of a session must compare with counts: those that are not 0. Undefined if
   * none.
   *
   * @throws TooManySessionsError if the last count was at its limit
   */
  due(repository: RepositoryName): OpenSessions | undefined {
    const { max } = this;
    const isAllDue = this.isDue('ALL', max.all);
    const isOwnDue = this.isDue(repository, max.ofRepository);
    if (!isAllDue && !isOwnDue) return undefined;
    return { all: isAllDue ? max.all : 0, ofRepository: isOwnDue ? max.ofRepository : 0 };
  }

  /** After an insertion that compared these limits, and was within them. */
  inserted(repository: RepositoryName, { all, ofRepository }: OpenSessions): void {
    if (all > 0) this.remember('ALL', all, false);
    if (ofRepository > 0) this.remember(repository, ofRepository, false);
  }

  /** After an insertion that compared these limits, and was refused. */
  refused(repository: RepositoryName, compared: OpenSessions, open: OpenSessions): TooManySessionsError {
    const isAll = compared.ofRepository === 0 || (compared.all > 0 && open.all >= compared.all);
    const [counted, max] = isAll ? (['ALL', compared.all] as const) : [repository, compared.ofRepository];
    this.remember(counted, max, true);
    return refusal(counted, max);
  }

  private isDue(counted: Counted, max: number): boolean {
    if (max === 0) return false;
    const known = this.known.get(counted);
    if (known === undefined || known.validUntil < performance.now()) return true;
    if (known.isReached) throw refusal(counted, max);
    known.startsLeft -= 1;
    return known.startsLeft < 0;
  }

  private remember(counted: Counted, max: number, isReached: boolean): void {
    this.known.delete(counted);
    const [oldest] = this.known.keys();
    if (this.known.size >= MAX_KNOWN && oldest !== undefined) this.known.delete(oldest);
    const validUntil = performance.now() + VALID_MS;
    this.known.set(counted, { validUntil, isReached, startsLeft: Math.floor(max * STARTS_PER_LIMIT) });
  }
}

function refusal(counted: Counted, max: number): TooManySessionsError {
  const limit = counted === 'ALL' ? 'sessions' : 'repository_sessions';
  countRefusal(limit);
  return new TooManySessionsError(limit, max);
}
