import { existsSync } from 'node:fs';
import { config } from 'dotenv';
import { StartupError } from '../common/startup.error.js';

/**
 * Adds the variables of the `.env` file in the working directory that `environment` does not have. Returns
 * their names.
 *
 * @throws StartupError if the file exists and can't be read.
 */
export function addDotEnv(environment: NodeJS.ProcessEnv): Set<string> {
  const own = new Set(Object.keys(environment));
  const { parsed = {}, error } = config({ quiet: true, processEnv: environment });
  const code: string | undefined = error?.code;
  // In a working directory of another user (`sudo -u berth` in /root), every file is an EACCES.
  if (error !== undefined && code !== 'ENOENT' && existsSync('.env')) {
    throw new StartupError(
      `The file .env can't be read (${code ?? 'unknown error'}): make it a readable file.`,
      {
        cause: error,
      },
    );
  }
  return new Set(Object.keys(parsed).filter((name) => !own.has(name)));
}
