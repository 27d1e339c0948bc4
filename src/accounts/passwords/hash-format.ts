import { parseOptions } from '@node-rs/argon2';

/**
 * The parameters of new hashes: argon2id with 32 MiB, 3 passes and 1 lane. OWASP's minimum is 19 MiB and 2
 * passes. A hash takes about 30 ms of CPU time on a core of 2024, and two run at a time, so a process needs
 * 64 MiB for them.
 */
export const ARGON2ID = { memoryCost: 32 * 1024, timeCost: 3, parallelism: 1 } as const;

/** A bcrypt hash: its version, its cost, 22 characters of salt and 31 of hash. */
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** A cost of 14 takes about a second of CPU time. Each step doubles it. */
export const BCRYPT_COSTS = { min: 4, max: 14 } as const;

const CURRENT = `$argon2id$v=19$m=${ARGON2ID.memoryCost},t=${ARGON2ID.timeCost},p=${ARGON2ID.parallelism}$`;

/** A hash that no password has, and that costs as much as a new one: its salt and its bytes are all zero. */
export const UNMATCHED = `${CURRENT}${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** The format of a stored hash; undefined if Berth can't verify it. */
export function formatOf(hash: string): 'argon2id' | 'bcrypt' | undefined {
  const cost = bcryptCost(hash);
  if (cost !== undefined) return cost >= BCRYPT_COSTS.min && cost <= BCRYPT_COSTS.max ? 'bcrypt' : undefined;
  return isArgon2id(hash) ? 'argon2id' : undefined;
}

/** The cost of a bcrypt hash; undefined for any other text. */
export function bcryptCost(hash: string): number | undefined {
  const cost = BCRYPT.exec(hash)?.[1];
  return cost === undefined ? undefined : Number(cost);
}

/** Whether a hash has the format and the parameters of new hashes. */
export function isCurrent(hash: string): boolean {
  return hash.startsWith(CURRENT);
}

function isArgon2id(hash: string): boolean {
  if (!hash.startsWith('$argon2id$')) return false;
  try {
    parseOptions(hash);
    return true;
  } catch {
    return false;
  }
}
