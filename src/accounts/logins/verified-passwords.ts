import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';

const MAX_ENTRIES = 10_000;
const LIFE_MS = 60_000;

/** What was verified: a password of this account, while it has this generation. */
export interface VerifiedPassword {
  readonly accountId: string;
  readonly generation: number;
}

/**
 * The names and passwords that were verified in the last minute, without the passwords: the keys are HMACs
 * under a key that only this process has. Wrong passwords are never kept.
 */
export class VerifiedPasswords {
  private readonly hmacKey = randomBytes(32);
  private readonly entries = new LRUCache<string, VerifiedPassword>({ max: MAX_ENTRIES, ttl: LIFE_MS });

  keyOf(name: string, password: string): string {
    // With the length, no other name and password have the same text.
    const text = `${name.length}:${name}${password}`;
    return createHmac('sha256', this.hmacKey).update(text).digest('base64');
  }

  get(key: string): VerifiedPassword | undefined {
    return this.entries.get(key);
  }

  add(key: string, verified: VerifiedPassword): void {
    this.entries.set(key, verified);
  }
}
