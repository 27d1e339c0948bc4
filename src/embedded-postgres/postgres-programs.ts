import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { StartupError } from '../common/startup.error.js';
import { spawnOptions } from './cluster-context.js';
import { toError } from './error-code.js';
import { copyPlaces, copyPostgresPackage } from './program-copy.js';
import { repairPostgresPackage, type PostgresPackage } from './postgres-package.js';
import type { RunAs } from './run-as.js';

/** Absolute paths of programs that the user who is to run them was seen to be able to run. */
export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

const PROBE_TIMEOUT_MS = 20_000;

/**
 * Programs that can be run as `runAs` (or as this user): those of the package, repaired where its install script
 * didn't run; else a copy, when the package can't be reached by that user or can't be repaired.
 *
 * "Can be run" is found out by running `postgres --version`, since execute bits, the directories above, the libraries,
 * a `noexec` mount and the C library all have a say. Rejects with a {@link StartupError}.
 */
export async function preparePrograms(
  source: PostgresPackage,
  clusterDir: string,
  runAs: RunAs | undefined,
): Promise<PostgresPrograms> {
  const obstacle =
    (await obstacleOf(() => repairPostgresPackage(source.root))) ??
    (await obstacleOf(() => probe(source.root, runAs)));
  if (obstacle === undefined) return programsOf(source.root);
  const hopeless = hopelessCase(obstacle);
  if (hopeless !== undefined) throw cannotRun(source, runAs, hopeless);
  let last = obstacle;
  for (const place of copyPlaces(source, clusterDir, runAs)) {
    const problem = await obstacleOf(() => copyAndProbe(source, place, runAs));
    if (problem === undefined) return programsOf(place);
    last = problem;
  }
  throw cannotRun(source, runAs, `${firstLine(obstacle)}; a copy elsewhere: ${firstLine(last)}`);
}

function programsOf(root: string): PostgresPrograms {
  const bin = join(root, 'native', 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
}

async function probe(root: string, runAs: RunAs | undefined): Promise<void> {
  const { postgres } = programsOf(root);
  await promisify(execFile)(postgres, ['--version'], {
    ...spawnOptions('/', runAs),
    timeout: PROBE_TIMEOUT_MS,
  });
}

async function obstacleOf(action: () => Promise<void>): Promise<Error | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return toError(error);
  }
}

async function copyAndProbe(source: PostgresPackage, place: string, runAs: RunAs | undefined): Promise<void> {
  const made = await copyPostgresPackage(source, place);
  try {
    await probe(place, runAs);
  } catch (error) {
    if (made) await rm(place, { recursive: true, force: true });
    throw error;
  }
}

/** What no copy of the programs would change, for a sentence. */
function hopelessCase(error: Error): string | undefined {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (!syscall?.startsWith('spawn')) return undefined;
  // The kernel's ENOENT for a program that is there is about its ELF interpreter: Alpine, say.
  if (code === 'ENOENT') return 'it needs the GNU C library, glibc';
  if (code === 'EPERM') return 'this process may not change its user (CAP_SETUID and CAP_SETGID)';
  return undefined;
}

function cannotRun(source: PostgresPackage, runAs: RunAs | undefined, why: string): StartupError {
  const who = runAs ? ` as the user ${runAs.name} (it refuses to run as root)` : '';
  return new StartupError(
    `The embedded PostgreSQL of ${source.root} can't be run${who}: ${why}; remedy that, or set DATABASE_URL to a PostgreSQL of your own.`,
  );
}

/** What the program said rather than `Command failed: …`, where it said something. */
function firstLine(error: Error): string {
  const { stderr } = error as { stderr?: unknown };
  const said = typeof stderr === 'string' ? stderr.trim() : '';
  return (said === '' ? error.message : said).split('\n')[0] ?? '';
}
