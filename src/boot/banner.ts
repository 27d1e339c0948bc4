import type { RunningBerth } from './start-berth.js';
import { isLoopback } from '../common/loopback.js';
import type { Configuration } from '../config/configuration.js';

/** What is known when a start has ended. */
export interface StartFacts {
  readonly berth: Pick<
    RunningBerth,
    'url' | 'metricsUrl' | 'database' | 'driver' | 'firstAdmin' | 'authority'
  >;
  readonly configuration: Configuration;
  /** Names and addresses by which clients reach the registry, the best first; at least one. */
  readonly hosts: readonly string[];
  readonly version: string;
  /** How long the start took. */
  readonly startSeconds: number;
}

/**
 * What Berth prints on a terminal when it is ready.
 *
 * @param showsPassword whether the random password of the first admin may be in it.
 */
export function banner(facts: StartFacts, showsPassword: boolean): string {
  const { berth, configuration, version, startSeconds } = facts;
  const { database, driver, metricsUrl } = berth;
  const { processes } = configuration;
  const urls = clientUrls(facts);
  const url = new URL(best(urls));
  const { host } = url;
  return [
    `Berth ${version}`,
    ...urls.map((each, index) => `  ${(index === 0 ? 'registry' : '').padEnd(8)}  ${each}/v2/`),
    `  storage   ${driver.name}, ${driver.location}`,
    `  database  ${database.description}`,
    `  API docs  ${url.origin}/api/docs`,
    ...(metricsUrl === undefined ? [] : [`  metrics   ${metricsUrl}`]),
    `  access    ${describeAccess(facts, showsPassword)}`,
    ...(processes === 1 ? [] : [`  workers   ${processes}`]),
    ...(configuration.access === 'token' ? [...describeTls(facts), describeNext(url, berth)] : []),
    '',
    `Started in ${startSeconds.toFixed(1)} s as process ${process.pid}. Stop it with Ctrl-C. To push an image:`,
    `  docker tag my-image ${host}/my-image && docker push ${host}/my-image`,
    '',
    '',
  ].join('\n');
}

/** The same facts, without a password, as fields of the line `started`, for a log of JSON. */
export function startedFields(facts: StartFacts) {
  const { berth, configuration, version, startSeconds } = facts;
  const { url, metricsUrl, database, driver, firstAdmin, authority } = berth;
  return {
    version,
    node: process.version,
    url,
    addresses: clientUrls(facts),
    metrics: metricsUrl,
    storage: driver.name,
    storageLocation: driver.location,
    database: database.description,
    access: configuration.access,
    admin: firstAdmin?.name,
    adminPasswordFile: firstAdmin?.initial?.file.path,
    authority,
    workers: configuration.processes,
    durationMs: Math.round(startSeconds * 1000),
  };
}

/** Where clients reach the registry, `PUBLIC_URL` first. */
function clientUrls({ berth, configuration: { publicUrl }, hosts }: StartFacts): string[] {
  const own = hosts.map((host) => {
    const url = new URL(berth.url);
    url.hostname = host.includes(':') ? `[${host.replace(/%.*/, '')}]` : host;
    return url.origin;
  });
  return [...new Set([...(publicUrl === undefined ? [] : [publicUrl]), ...own])];
}

function best([url = '']: readonly string[]): string {
  return url;
}

function describeAccess(
  { berth: { firstAdmin }, configuration: { access } }: StartFacts,
  showsPassword: boolean,
): string {
  if (access === 'open') return 'open to every client that can reach the address';
  if (access === 'loopback') return 'open, loopback only';
  if (firstAdmin === undefined) return 'token';
  const { name, initial } = firstAdmin;
  if (initial === undefined) return `token; sign in as ${name} with ADMIN_PASSWORD`;
  return showsPassword
    ? `token; sign in as ${name} / ${initial.text}   (shown once)`
    : `token; sign in as ${name} with the password in ${initial.file.path}`;
}

/** How clients know that they talk to this registry, and what Docker needs for that. */
function describeTls(facts: StartFacts): string[] {
  const { authority, url } = facts.berth;
  const { protocol, host, hostname } = new URL(best(clientUrls(facts)));
  if (authority !== undefined) {
    const directory = `/etc/docker/certs.d/${host}`;
    return [
      `  TLS       own CA, SHA-256 ${authority}`,
      `  clients   sudo mkdir -p ${directory} && curl -fsSk https://${host}/auth/ca.crt | ` +
        `sudo tee ${directory}/ca.crt`,
    ];
  }
  if (url.startsWith('https:')) return ['  TLS       certificate of TLS_CERT_FILE'];
  if (protocol === 'https:') return ['  TLS       off: it ends at the proxy of PUBLIC_URL'];
  if (isLoopback(hostname.replace(/^\[|\]$/g, ''))) return [];
  return ['  TLS       off: without a proxy that ends TLS, passwords cross the network in clear text'];
}

/** What to do first: sign in with a client, or in Swagger UI. */
function describeNext({ host, origin }: URL, { firstAdmin }: StartFacts['berth']): string {
  const name = firstAdmin === undefined ? '' : ` -u ${firstAdmin.name}`;
  return `  next      docker login ${host}${name}   or   ${origin}/api/docs`;
}
