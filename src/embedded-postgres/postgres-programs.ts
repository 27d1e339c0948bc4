import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { StartupError } from '../common/startup.error.js';
import { spawnOptions } from './cluster-context.js';
import type { PostgresPackage } from './postgres-package.js';
import { copyPlaces, copyPostgresPackage } from './program-copy.js';
import type { RunAs } from './run-as.js';

/** Absolute paths of Postgres' programs. */
export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
  /** The major version, for example `18`; unset if the program doesn't say it. */
  readonly majorVersion?: string | undefined;
}

/** An error of `execFile`: the program could not be started, or failed. */
type ExecError = NodeJS.ErrnoException & { readonly stderr?: string };

const PROBE_TIMEOUT_MS = 20_000;

/**
 * Returns programs that `runAs` (or this user) can run. If Berth is root and Postgres' user can't reach the
 * package, for example below /root, they are copied to where it can.
 *
 * Runs `postgres --version` to find out: execute bits, parent directories, libraries, a `noexec` mount and
 * the C library all matter.
 *
 * @throws StartupError
 */
export async function preparePrograms(
  source: PostgresPackage,
  runAs: RunAs | undefined,
): Promise<PostgresPrograms> {
  try {
    return await probe(source.root, runAs);
  } catch (error) {
    const failure = error as ExecError;
    const programs = runAs && failure.code === 'EACCES' ? await tryCopies(source, runAs) : undefined;
    if (programs) return programs;
    throw cannotRun(source, runAs, failure);
  }
}

async function tryCopies(source: PostgresPackage, runAs: RunAs): Promise<PostgresPrograms | undefined> {
  for (const place of copyPlaces(source)) {
    try {
      await copyPostgresPackage(source, place);
      return await probe(place, runAs);
    } catch {
      // The next place may do. The first error is the one to report.
    }
  }
  return undefined;
}

async function probe(root: string, runAs: RunAs | undefined): Promise<PostgresPrograms> {
  const bin = join(root, 'native', 'bin');
  const programs = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
  const options = { ...spawnOptions('/', runAs), timeout: PROBE_TIMEOUT_MS };
  const { stdout } = await promisify(execFile)(programs.postgres, ['--version'], options);
  return { ...programs, majorVersion: /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1] };
}

function cannotRun({ root }: PostgresPackage, runAs: RunAs | undefined, error: ExecError): StartupError {
  const user = runAs ? ` as the user ${runAs.name} (it refuses to run as root)` : '';
  return new StartupError(
    `The embedded PostgreSQL in ${root} can't run${user}: ${describe(error)}, ` +
      'or set DATABASE_URL to another PostgreSQL.',
    { cause: error },
  );
}

/** The reason, and what to do about it. */
function describe(error: ExecError): string {
  const isSpawnError = error.syscall?.startsWith('spawn') === true;
  // For a program that exists, ENOENT means that its dynamic loader is missing, for example on Alpine.
  if (isSpawnError && error.code === 'ENOENT')
    return 'it requires the GNU C library; use a system with glibc';
  if (isSpawnError && error.code === 'EPERM')
    return 'Berth may not change its user; give it CAP_SETUID and CAP_SETGID';
  const output = error.stderr?.trim() ?? '';
  const [reason] = (output === '' ? error.message : output).split('\n');
  // npm's install script of the package makes the links of the libraries.
  return `${reason ?? ''}; run \`npm rebuild\``;
}
