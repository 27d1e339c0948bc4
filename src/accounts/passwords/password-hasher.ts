import { hash as hashArgon2, verify as verifyArgon2 } from '@node-rs/argon2';
import { verify as verifyBcrypt } from '@node-rs/bcrypt';
import { Injectable } from '@nestjs/common';
import { ConcurrencyLimiter } from '../../database/concurrency-limiter.js';
import { ARGON2ID, formatOf, isCurrent, UNMATCHED } from './hash-format.js';

/**
 * Layers are hashed and written by the same four threads (libuv's pool), so two stay free for them. The queue
 * is about a second long.
 */
const LIMITS = { maxRunning: 2, maxRunningPerKey: 2, maxWaiting: 64, maxWaitingPerKey: 64, waitMs: 10_000 };

/** The result of {@link PasswordHasher.verify}. */
export interface PasswordCheck {
  readonly matches: boolean;
  /** The password matches, but its hash is of another format than new hashes: replace it. */
  readonly needsRehash: boolean;
}

/**
 * Hashes passwords with argon2id, and verifies these hashes and those of bcrypt (from htpasswd files). At
 * most two run at a time in each process.
 */
@Injectable()
export class PasswordHasher {
  private readonly limiter = new ConcurrencyLimiter(LIMITS);

  /**
   * A new argon2id hash in PHC format, about 100 characters long.
   *
   * @throws ContendedError if too many hashes wait.
   */
  hash(password: string): Promise<string> {
    return this.limiter.run([], () => hashArgon2(password, ARGON2ID));
  }

  /**
   * Whether a password has this hash. Without a hash, or with one of an unknown format, nothing matches, at
   * the cost of a wrong password.
   *
   * @throws ContendedError if too many hashes wait.
   */
  async verify(hash: string | null, password: string): Promise<PasswordCheck> {
    const stored = hash !== null && formatOf(hash) !== undefined ? hash : UNMATCHED;
    const isBcrypt = formatOf(stored) === 'bcrypt';
    const verify = () => (isBcrypt ? verifyBcrypt(password, stored) : verifyArgon2(stored, password));
    const matches = await this.limiter.run([], verify);
    return { matches, needsRehash: matches && !isCurrent(stored) };
  }
}
