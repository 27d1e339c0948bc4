import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { OUTAGE_MS } from '../rights/access-epoch.js';
import { outlastOutage } from '../../database/outlast-outage.js';
import { isAccountName } from '../users/account-name.js';
import { TooManyLoginsError } from './login.errors.js';
import { clientNetwork } from './client-network.js';
import { type Attempt, FAILURE_WINDOW_SECONDS, type FailuresOfMinute, LoginStore } from './login.store.js';
import type { LoginOrigin } from './login.js';

/**
 * Failed logins in ten minutes. Some clients send a wrong password twice per command: containerd and
 * buildkit.
 */
const MAX_FAILURES = { ofName: 10, ofNetwork: 100 };

/** Refusals are repeated for so long without asking the database. */
const REFUSAL_MS = 10_000;
const MAX_REFUSALS = 10_000;

/** A login that may be tried. */
export interface AllowedAttempt {
  /** Counts it as failed. */
  fail(): Promise<void>;
}

/**
 * Limits failed logins, on all replicas together. They are counted per name and address, and per address (see
 * {@link clientNetwork}), so no account is ever locked: its owner can log in from elsewhere.
 *
 * Names that have logged in from an address count only for themselves there, and have no limit but their own:
 * behind one address there may be a whole company, and one of its machines has an old password.
 */
@Injectable()
export class FailedLogins {
  private readonly refusals = new LRUCache<string, number>({ max: MAX_REFUSALS, ttl: REFUSAL_MS });

  constructor(private readonly store: LoginStore) {}

  /**
   * Call it before a password is verified.
   *
   * @throws TooManyLoginsError
   */
  async attempt(name: string, origin: LoginOrigin): Promise<AllowedAttempt> {
    const attempt = attemptOf(name, origin);
    const key = `${attempt.network} ${attempt.nameHash}`;
    const refusedUntil = this.refusals.get(key);
    if (refusedUntil !== undefined) throw tooMany(refusedUntil - performance.now() / 1000);
    // Postgres accepts not every text.
    const known = isAccountName(name) ? name : '';
    const { minutes, isExempt } = await outlastOutage(OUTAGE_MS, () =>
      this.store.recentFailures(attempt, known),
    );
    const seconds = Math.max(
      secondsUntilBelow(MAX_FAILURES.ofName, minutes, ({ ofName }) => ofName),
      isExempt ? 0 : secondsUntilBelow(MAX_FAILURES.ofNetwork, minutes, ({ ofNetwork }) => ofNetwork),
    );
    if (seconds > 0) {
      this.refusals.set(key, performance.now() / 1000 + seconds);
      throw tooMany(seconds);
    }
    return { fail: () => this.store.failed(attempt, known, isExempt, origin) };
  }
}

/** The name as 16 bits of a hash: two names share their limit with a chance of 1 in 65,536. */
function attemptOf(name: string, { clientAddress }: LoginOrigin): Attempt {
  const nameHash = createHash('sha256').update(name).digest().readUInt16BE();
  return { network: clientNetwork(clientAddress), nameHash };
}

/** How long it takes until fewer than `limit` failures count; 0 if that is so now. */
function secondsUntilBelow(
  limit: number,
  minutes: readonly FailuresOfMinute[],
  failuresOf: (minute: FailuresOfMinute) => number,
): number {
  let total = 0;
  for (const minute of minutes) {
    total += failuresOf(minute);
    // When this minute leaves the window, only newer ones count.
    if (total >= limit) return FAILURE_WINDOW_SECONDS - minute.ageSeconds;
  }
  return 0;
}

function tooMany(seconds: number): TooManyLoginsError {
  return new TooManyLoginsError(Math.max(1, Math.ceil(seconds)));
}
