import 'reflect-metadata';
import { resolve } from 'node:path';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { Configuration } from './configuration.js';
import { isLoopback } from './loopback.js';
import { StartupError } from './startup.error.js';

/** `dataDir` → `DATA_DIR`: every field is the camel case of its variable (a test holds this). */
export function variableName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/**
 * Makes the configuration of a process from its environment.
 *
 * @throws StartupError one sentence that names each wrong variable and what was expected, never its value.
 */
export function loadConfiguration(environment: NodeJS.ProcessEnv): Readonly<Configuration> {
  // An empty variable (`PORT=`) counts as unset.
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const configuration = plainToInstance(Configuration, set, {
    excludeExtraneousValues: true,
    exposeDefaultValues: true,
  });
  const problems = validateSync(configuration, { stopAtFirstError: true });
  if (problems.length > 0) {
    throw new StartupError(`The configuration can't be used: ${problems.map(describe).join('; ')}.`);
  }
  refuseUnintendedExposure(configuration);
  if (configuration.databaseUrl !== undefined) refuseUnreadableUrl(configuration.databaseUrl);
  configuration.dataDir = resolve(configuration.dataDir);
  if (configuration.storageFilesystemRoot !== undefined) {
    configuration.storageFilesystemRoot = resolve(configuration.storageFilesystemRoot);
  }
  return Object.freeze(configuration);
}

function describe(problem: ValidationError): string {
  return `${variableName(problem.property)} – ${Object.values(problem.constraints ?? {}).join(', ')}`;
}

/** Without access control, the world may only be let in by an operator who says so. */
function refuseUnintendedExposure({ host, accessMode }: Configuration): void {
  if (accessMode !== 'open' && !isLoopback(host)) {
    throw new StartupError(
      "HOST isn't a loopback address and there is no access control: set ACCESS_MODE=open to let everybody " +
        'who can reach the address pull, push and delete, or leave HOST at 127.0.0.1.',
    );
  }
}

/** Read by others, a malformed address ends in an error that quotes all of it, password included. */
function refuseUnreadableUrl(databaseUrl: string): void {
  try {
    const { username, password, pathname } = new URL(databaseUrl);
    [username, password, pathname].forEach(decodeURIComponent);
    // A `/` in the password, not percent-encoded, ends the host early: the rest of it would be taken for a name.
    if (/[@/]/.test(pathname.slice(1))) throw new Error('ambiguous');
  } catch {
    throw new StartupError(
      "DATABASE_URL can't be read: expected postgres://user:password@host:port/database, special characters percent-encoded.",
    );
  }
}
