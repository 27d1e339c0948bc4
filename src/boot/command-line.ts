import { parseArgs } from 'node:util';
import { StartupError } from '../common/startup.error.js';

const OPTIONS = {
  check: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

export type Command = 'start' | keyof typeof OPTIONS;

export const HELP = `Usage: npm start [-- OPTION]   or   node dist/src/main.js [OPTION]

Starts the registry. Settings are environment variables, or lines of a file .env in the working directory.
.env.example lists them, and docs/configuration.md explains them.

  --check        validates the settings and prints them without secrets; starts nothing
  -h, --help     prints this text
  -v, --version  prints the version
`;

/**
 * Returns what the arguments of the program ask for.
 *
 * @throws StartupError for any other argument. It has no values: they may be secret.
 */
export function commandOf(args: string[]): Command {
  const { tokens } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true });
  const names = tokens.map((token) => {
    if (token.kind === 'option' && token.value === undefined && isOption(token.name)) return token.name;
    const what = token.kind === 'option' ? `the option ${token.rawName}` : 'arguments without dashes';
    throw new StartupError(
      `Berth doesn't take ${what}: settings are environment variables, and --help lists the options.`,
    );
  });
  // `--check --help` explains `--check`.
  return (['help', 'version', 'check'] as const).find((name) => names.includes(name)) ?? 'start';
}

function isOption(name: string): name is keyof typeof OPTIONS {
  return Object.hasOwn(OPTIONS, name);
}
