import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { isLoopback } from '../common/loopback.js';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import { type HostPort, parseHostPort } from '../config/host-port.js';
import type { MetricsSource } from '../observability/metrics/metrics-source.js';
import { METRICS_CONTENT_TYPE } from '../observability/metrics/registry.js';
import type { CleanupStack } from './cleanup-stack.js';

const MAX_CONNECTIONS = 64;

/** A scrape takes a second or two. */
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Serves `/metrics` on a listener of its own, `METRICS_ADDRESS`, without a login. Returns its address;
 * undefined if it is not set.
 *
 * @throws StartupError
 */
export async function serveMetrics(
  { metricsAddress }: Pick<Configuration, 'metricsAddress'>,
  source: MetricsSource,
  logger: Logger,
  cleanup: CleanupStack,
): Promise<string | undefined> {
  const address = metricsAddress === undefined ? undefined : parseHostPort(metricsAddress);
  if (address === undefined) return undefined;
  const isLocal = isLoopback(address.host);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response, isLocal, source).catch((error: unknown) => {
      logger.warn({ err: error }, 'the metrics could not be collected');
      send(response, 503, 'the metrics could not be collected: the log has the reason\n');
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(address.port, address.host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new StartupError(
      `Berth can't listen on ${metricsAddress}, the address of METRICS_ADDRESS (${codeOf(cause)}): ` +
        'set it to an address of this machine and a free port.',
      { cause },
    );
  }
  server.on('error', (error) => logger.error({ err: error }, 'a connection for metrics was not accepted'));
  cleanup.add(() => {
    server.close();
    server.closeAllConnections();
  });
  return urlOf(address, server.address() as AddressInfo);
}

async function answer(
  { method, url = '', headers }: IncomingMessage,
  response: ServerResponse,
  isLocal: boolean,
  source: MetricsSource,
): Promise<void> {
  // A web page can reach this address through a host name that resolves to it.
  if (isLocal && !isLocalHost(headers.host)) return send(response, 403, 'the Host must be a loopback name\n');
  if (url.split('?', 1)[0] !== '/metrics') return send(response, 404, 'only /metrics is here\n');
  if (method !== 'GET' && method !== 'HEAD') return send(response, 405, 'only GET and HEAD are supported\n');
  send(response, 200, await source.text(), METRICS_CONTENT_TYPE);
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  const headers = { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) };
  response.writeHead(status, { ...headers, ...(status === 405 && { Allow: 'GET, HEAD' }) });
  // Node leaves the body out of a response to HEAD.
  response.end(text);
}

function codeOf(cause: unknown): string {
  return String((Object(cause) as { code?: unknown }).code);
}

function isLocalHost(host: string | undefined): boolean {
  const url = `http://${host ?? ''}`;
  return URL.canParse(url) && isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''));
}

function urlOf({ host }: HostPort, { port }: AddressInfo): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/metrics`;
}
