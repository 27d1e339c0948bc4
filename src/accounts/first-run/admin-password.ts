import { readFile } from 'node:fs/promises';
import { StartupError } from '../../common/startup.error.js';
import { isPassword, PASSWORD_RULE } from '../../config/password.js';

/** The first line of the file of `ADMIN_PASSWORD_FILE`. @throws StartupError, without what the file has. */
export async function readPasswordFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new StartupError(
      `ADMIN_PASSWORD_FILE (${path}) can't be read (${code}): set it to a file that this user may read.`,
      { cause },
    );
  });
  const [line = ''] = text.split(/\r?\n/, 1);
  if (!isPassword(line)) {
    throw new StartupError(
      `The first line of ADMIN_PASSWORD_FILE (${path}) is no password: ${PASSWORD_RULE}.`,
    );
  }
  return line;
}
