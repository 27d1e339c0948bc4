import type { Configuration } from './configuration.js';
import { SETTINGS } from './env.js';

/** A name that is most likely meant for the setting `known`. */
export interface MistypedName {
  readonly name: string;
  readonly known: string;
}

/** Names like Berth's of others: platforms with databases, Google's SDK, podman, systemd, OpenSSL. */
const NAMES_OF_OTHERS = new Set([
  'DATABASE_SSL',
  'DATABASE_UID',
  'STORAGE_EMULATOR_HOST',
  'STORAGE_OPTS',
  'LOG_NAMESPACE',
  'SSL_CERT_FILE',
  'SSL_KEY_FILE',
  'LTS',
]);

/** What Kubernetes (for a service `database`) and links of Docker (to `database`) add to the environment. */
const INJECTED = [/_SERVICE_(HOST|PORT)(_\w+)?$/, /_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$/, /_ENV_\w+$/];
const INJECTED_URL = /^(tcp|udp|sctp):\/\//;
/** `/web/database`: the names of two containers. */
const INJECTED_LINK = /^\/[^/]+\/[^/]+$/;

/** How many names a message has at most. */
const MAX_NAMED = 20;

/** Names of variables with these letters only: nothing else gets into a message. */
const PRINTABLE = /^[\w-]+$/;

/**
 * Returns the names that are within a typing mistake or two of a setting's name. If that setting is set, too,
 * the other name is most likely of another program (DATABASE_URI, DATABASE_URL_2), and nothing is missing.
 */
export function mistypedNames(environment: NodeJS.ProcessEnv): MistypedName[] {
  return strangers(environment).flatMap((name) => {
    const known = settingLike(name);
    return known === undefined || isSet(environment, known) ? [] : [{ name, known }];
  });
}

/** Names the variables that begin like Berth's settings and are none. Undefined if there are none. */
export function describeUnknownNames(environment: NodeJS.ProcessEnv): string | undefined {
  const prefixes = ['BERTH_', ...SETTINGS.flatMap(({ name }) => /^[A-Z]+_/.exec(name)?.[0] ?? [])];
  const mistyped = new Set(mistypedNames(environment).map(({ name }) => name));
  const names = strangers(environment).filter(
    (name) => prefixes.some((prefix) => name.startsWith(prefix)) && !mistyped.has(name),
  );
  if (names.length === 0) return undefined;
  const others = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
  const named = names.slice(0, MAX_NAMED).join(', ');
  return `Variables that are no settings of Berth and have no effect: ${named}${others}.`;
}

/**
 * Names the settings of object stores that are set and not in use, most likely because STORAGE_DRIVER is
 * missing. Undefined if there are none.
 */
export function describeUnusedStores(
  configuration: Readonly<Configuration>,
  environment: NodeJS.ProcessEnv,
): string | undefined {
  const { s3, azure, gcs, storageDriver } = configuration;
  const inUse = [configuration, s3, azure, gcs];
  const unused = SETTINGS.filter(({ settings }) => !inUse.some((each) => each instanceof settings));
  const names = unused.flatMap(({ name }) => (isSet(environment, name) ? [name] : []));
  if (names.length === 0) return undefined;
  return `Settings that have no effect with STORAGE_DRIVER=${storageDriver}: ${names.sort().join(', ')}.`;
}

function isSet(environment: NodeJS.ProcessEnv, name: string): boolean {
  return (environment[name] ?? '') !== '';
}

/** The names of variables that are not empty, not Berth's, and not known to be of others. */
function strangers(environment: NodeJS.ProcessEnv): string[] {
  const known = new Set(SETTINGS.map(({ name }) => name));
  return Object.entries(environment).flatMap(([name, value = '']) =>
    value === '' || known.has(name) || !PRINTABLE.test(name) || isOfOthers(name, value) ? [] : [name],
  );
}

function isOfOthers(name: string, value: string): boolean {
  if (NAMES_OF_OTHERS.has(name) || INJECTED.some((pattern) => pattern.test(name))) return true;
  if (name.endsWith('_PORT')) return INJECTED_URL.test(value);
  return name.endsWith('_NAME') && INJECTED_LINK.test(value);
}

/** The setting that a name most likely stands for. */
function settingLike(name: string): string | undefined {
  const upper = name.toUpperCase();
  const names = SETTINGS.map((setting) => setting.name);
  for (const edits of [0, 1, 2]) {
    const found = names.find((known) => edits <= editsOf(known, upper) && isWithin(edits, upper, known));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * How many edits of a name count as a mistake. A short name with two may be another word (HOME and HOST, or
 * JAVA_DIR and DATA_DIR). Of the shortest ones only swapped letters count: PORTS or COST may be the name of
 * another program's variable.
 */
function editsOf(known: string, name: string): number {
  if (known.length >= 9) return 2;
  if (known.length >= 5) return 1;
  return name !== known && sorted(name) === sorted(known) ? 1 : -1;
}

const sorted = (name: string): string => Array.from(name).sort().join('');

/** Whether `a` becomes `b` by inserting, deleting, replacing or swapping letters, at most `edits` times. */
function isWithin(edits: number, a: string, b: string): boolean {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same += 1;
  const [x, y] = [a.slice(same), b.slice(same)];
  if (x === y) return true;
  if (edits === 0) return false;
  return (
    isWithin(edits - 1, x.slice(1), y.slice(1)) ||
    isWithin(edits - 1, x.slice(1), y) ||
    isWithin(edits - 1, x, y.slice(1)) ||
    (x[0] === y[1] && x[1] === y[0] && isWithin(edits - 1, x.slice(2), y.slice(2)))
  );
}
