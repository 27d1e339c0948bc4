import { EXPECTED_ACCOUNT_NAME, isAccountName } from './account-name.js';
import { BCRYPT_COSTS, bcryptCost } from '../passwords/hash-format.js';

/** As many accounts as one import makes. */
const MAX_USERS = 1_000;
const MAX_PROBLEMS = 100;
/** A problem shows no more of a name: it may be anything. */
const MAX_NAME_LENGTH = 64;

/** A user of an htpasswd file. */
export interface HtpasswdUser {
  readonly name: string;
  /** A bcrypt hash that `PasswordHasher` verifies. */
  readonly passwordHash: string;
  /** Counts from 1. */
  readonly line: number;
}

/** What is wrong with a line. */
export interface HtpasswdProblem {
  /** Counts from 1. */
  readonly line: number;
  readonly message: string;
}

/** The content of an htpasswd file. Import `users` only if there are no `problems`. */
export interface Htpasswd {
  readonly users: readonly HtpasswdUser[];
  /** The first 100. They contain no hashes. */
  readonly problems: readonly HtpasswdProblem[];
}

/**
 * Parses an htpasswd file, as Apache's `htpasswd -B` writes it: lines of `name:hash`. Empty lines and lines
 * that begin with `#` are skipped. Hashes other than bcrypt's are problems, as in Docker's registry, and so
 * are names that no account can have, and names that occur twice.
 */
export function parseHtpasswd(text: string): Htpasswd {
  const users = new Map<string, HtpasswdUser>();
  const lines = new Map<string, number>();
  const problems: HtpasswdProblem[] = [];
  for (const [index, content] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const entry = content.trim();
    if (entry === '' || entry.startsWith('#')) continue;
    const line = index + 1;
    const [name, passwordHash] = splitEntry(entry);
    const message = problemOf(name, passwordHash, lines.get(name));
    if (message !== undefined) problems.push({ line, message });
    if (problems.length >= MAX_PROBLEMS) break;
    lines.set(name, lines.get(name) ?? line);
    users.set(name, { name, passwordHash, line });
    if (users.size > MAX_USERS) {
      problems.push({ line, message: `more than ${MAX_USERS} users: import the file in parts` });
      break;
    }
  }
  return { users: [...users.values()], problems };
}

/** Without a colon, the hash is empty, and the name too: it may be a password. */
function splitEntry(entry: string): [name: string, passwordHash: string] {
  const colon = entry.indexOf(':');
  return colon === -1 ? ['', ''] : [entry.slice(0, colon), entry.slice(colon + 1)];
}

function problemOf(name: string, passwordHash: string, earlierLine: number | undefined): string | undefined {
  if (name === '' || passwordHash === '') return 'expected name:hash';
  if (!isAccountName(name)) {
    return `the name ${JSON.stringify(name.slice(0, MAX_NAME_LENGTH))} is invalid: ${EXPECTED_ACCOUNT_NAME}`;
  }
  if (earlierLine !== undefined) return `the name ${name} is in line ${earlierLine} too`;
  return hashProblemOf(name, passwordHash);
}

function hashProblemOf(name: string, passwordHash: string): string | undefined {
  const cost = bcryptCost(passwordHash);
  const { min, max } = BCRYPT_COSTS;
  if (cost === undefined) {
    return `the hash of ${name} is not bcrypt ($2y$…): make it with htpasswd -B, which asks for the password`;
  }
  if (cost >= min && cost <= max) return undefined;
  return `the hash of ${name} has a bcrypt cost of ${cost}: expected ${min} to ${max}`;
}
