import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { parse, populate } from 'dotenv';
import { StartupError } from '../common/startup.error.js';

/** Begins no name in a file. */
const MARK = '__line__';

/** How many lines a message has at most. */
const MAX_NAMED = 20;

/**
 * Adds the variables of the `.env` file in the working directory that `environment` does not have. Returns
 * their names.
 *
 * @throws StartupError if the file exists and can't be read, or has a line that dotenv would ignore.
 */
export function addDotEnv(environment: NodeJS.ProcessEnv): Set<string> {
  const text = readDotEnv();
  refuseIgnoredLines(text);
  const parsed = parse(text);
  const added = Object.keys(parsed).filter((name) => !(name in environment));
  populate(environment, parsed);
  return new Set(added);
}

/** The text of the file, empty if there is none. */
function readDotEnv(): string {
  try {
    return readFileSync('.env', 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    // In a working directory of another user (`sudo -u berth` in /root), every file is an EACCES.
    if (code === 'ENOENT' || !existsSync('.env')) return '';
    throw new StartupError(`The file .env can't be read (${code}): make it a readable file.`, { cause });
  }
}

/** A setting in such a line would have no effect. The text of the line may be a secret. */
function refuseIgnoredLines(text: string): void {
  const ignored = ignoredLines(text);
  if (ignored.length === 0) return;
  const others = ignored.length > MAX_NAMED ? ` and ${ignored.length - MAX_NAMED} more` : '';
  throw new StartupError(
    `The file .env has a line that is not a setting: line ${ignored.slice(0, MAX_NAMED).join(', ')}${others}. ` +
      'Expected NAME=value, or a comment that begins with #.',
  );
}

/**
 * Returns the numbers of the lines that dotenv ignores, besides blank ones and comments: text in front of
 * them changes nothing. In front of a setting it changes the name, and inside a quoted value the
 * value. A line without a name (`=x`) gets one.
 */
function ignoredLines(text: string): number[] {
  const lines = text.split(/\r\n?|\n/);
  const parsed = parse(text);
  return lines.flatMap((line, index) => {
    if (/^\s*(#|$)/.test(line)) return [];
    const { [MARK]: _, ...changed } = parse(lines.with(index, `${MARK}${line}`).join('\n'));
    return isDeepStrictEqual(changed, parsed) ? [index + 1] : [];
  });
}
