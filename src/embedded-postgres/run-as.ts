import { readFile, stat } from 'node:fs/promises';
import { StartupError } from '../common/startup.error.js';

/** The user that Postgres runs as when Berth runs as root. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** In this order: an account made for Berth, one made for Postgres, and the one that is always there. */
const ACCOUNTS = ['berth', 'postgres', 'nobody'];

/**
 * Whom to run Postgres as, since it refuses to be root. Undefined for everybody but root: Postgres then runs as
 * Berth does. A cluster that exists keeps its owner, so that an account that is created later changes nothing.
 *
 * Rejects with a {@link StartupError} when there is no account to use.
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
    'PostgreSQL refuses to run as root and there is no user berth, postgres or nobody to run it as: start Berth as an ordinary user, create one of these, or set DATABASE_URL.',
  );
}

/** The accounts of a passwd(5) file that aren't root. Negative ids, as on macOS, are the unsigned ones of the kernel. */
export function parsePasswd(text: string): RunAs[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([^:#]+):[^:]*:(-?\d+):(-?\d+):/.exec(line);
    if (!match) return [];
    const [, name = '', uid, gid] = match;
    const account = { name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
    return account.uid === 0 ? [] : [account];
  });
}
