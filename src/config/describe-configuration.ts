import type { Configuration } from './configuration.js';
import { type Setting, SETTINGS } from './env.js';

/** Defaults that depend on other settings. */
const DEFAULTS: Readonly<Record<string, (configuration: Readonly<Configuration>) => string>> = {
  ACCESS_MODE: ({ access }) => (access === 'loopback' ? 'open, loopback only' : access),
  TLS: ({ tlsMode }) => tlsMode,
};

/** What a front uses. */
const SETTINGS_OF_FRONT: ReadonlySet<string> = new Set([
  ...['ROLE', 'HOST', 'PORT', 'WORKERS', 'DIRECT_READS', 'UPLOAD_CHECKPOINT_BYTES', 'MANIFEST_MAX_BYTES'],
  ...['REQUEST_IDLE_TIMEOUT_SECONDS', 'REQUEST_MIN_BYTES_PER_SECOND', 'MAX_CONNECTIONS'],
  ...['TLS', 'TLS_CERT_FILE', 'TLS_KEY_FILE', 'TRUSTED_PROXIES'],
  ...['METRICS_ADDRESS', 'LOG_LEVEL', 'LOG_FORMAT'],
  ...['FRONT_REPLICAS', 'FRONT_RETRY_SECONDS', 'FRONT_BUFFER_BYTES', 'FRONT_DRAIN_SECONDS'],
]);

/**
 * Describes the settings in force, one per line: name, value without secrets, and where it is from. Settings
 * of an object store that is not in use are left out, and those that a front doesn't use.
 *
 * @param fromFile the names that the `.env` file has set.
 */
export function describeConfiguration(
  configuration: Readonly<Configuration>,
  environment: NodeJS.ProcessEnv,
  fromFile: ReadonlySet<string>,
): string {
  const { role, s3, azure, gcs } = configuration;
  const holders = [configuration, s3, azure, gcs];
  const rows = SETTINGS.flatMap((setting) => {
    const holder = holders.find((each) => each instanceof setting.settings);
    const isUsed = role === 'replica' || SETTINGS_OF_FRONT.has(setting.name);
    if (holder === undefined || !isUsed) return [];
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
