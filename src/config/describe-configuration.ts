import type { Configuration } from './configuration.js';
import { type Setting, SETTINGS } from './env.js';

/** Defaults that depend on other settings. */
const DEFAULTS: Readonly<Record<string, (configuration: Readonly<Configuration>) => string>> = {
  ACCESS_MODE: ({ access }) => (access === 'loopback' ? 'open, loopback only' : access),
  TLS: ({ tlsMode }) => tlsMode,
};

/**
 * Describes the settings in force, one per line: name, value without secrets, and where it is from. Settings
 * of an object store that is not in use are left out.
 *
 * @param fromFile the names that the `.env` file has set.
 */
export function describeConfiguration(
  configuration: Readonly<Configuration>,
  environment: NodeJS.ProcessEnv,
  fromFile: ReadonlySet<string>,
): string {
  const { s3, azure, gcs } = configuration;
  const holders = [configuration, s3, azure, gcs];
  const rows = SETTINGS.flatMap((setting) => {
    const holder = holders.find((each) => each instanceof setting.settings);
    if (holder === undefined) return [];
    const value = shown(setting, holder) ?? DEFAULTS[setting.name]?.(configuration) ?? 'unset';
    return [[setting.name, value, sourceOf(setting.name, environment, fromFile)]];
  });
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

function shown({ field, show }: Setting, holder: object): string | undefined {
  const value: unknown = Reflect.get(holder, field);
  const text = value === undefined ? '' : show(value);
  if (text === '') return undefined;
  // On one line, whatever is in it.
  return /\p{Cc}/u.test(text) ? JSON.stringify(text) : text;
}

function sourceOf(name: string, environment: NodeJS.ProcessEnv, fromFile: ReadonlySet<string>): string {
  if ((environment[name] ?? '') === '') return 'default';
  return fromFile.has(name) ? '.env' : 'environment';
}
