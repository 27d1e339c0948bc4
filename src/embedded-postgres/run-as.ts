import { readFile, stat } from 'node:fs/promises';
import { StartupError } from '../common/startup.error.js';

/** The user that Postgres runs as if Berth is root. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** Candidates, best first: an account for Berth, one for Postgres, and one that almost every system has. */
const ACCOUNTS = ['berth', 'postgres', 'nobody'];

/**
 * Chooses the user for Postgres, which refuses to run as root. Returns undefined if Berth is not root:
 * Postgres then runs as the same user. An existing cluster keeps its owner, also if a better account is
 * created later.
 *
 * @throws StartupError if there is no account to use.
 */
export async function chooseRunAs(
  clusterDir: string,
  passwdFile = '/etc/passwd',
): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = parsePasswd(await readFile(passwdFile, 'utf8').catch(() => ''));
  const owner = await stat(clusterDir).catch(() => undefined);
  if (owner && owner.uid !== 0) {
    const name = accounts.find(({ uid }) => uid === owner.uid)?.name ?? `uid ${owner.uid}`;
    return { uid: owner.uid, gid: owner.gid, name };
  }
  const chosen = ACCOUNTS.map((name) => accounts.find((account) => account.name === name)).find(Boolean);
  if (chosen) return chosen;
  throw new StartupError(
    'PostgreSQL refuses to run as root, and there is no user berth, postgres or nobody: ' +
      'start Berth as another user, create one of these users, or set DATABASE_URL.',
  );
}

/**
 * The accounts of a passwd(5) file, without root. Negative ids, as on macOS, become the kernel's unsigned
 * ones.
 */
export function parsePasswd(text: string): RunAs[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([^:#]+):[^:]*:(-?\d+):(-?\d+):/.exec(line);
    if (!match) return [];
    const [, name = '', uid, gid] = match;
    const account = { name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
    return account.uid === 0 ? [] : [account];
  });
}
