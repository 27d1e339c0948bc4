import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Logger } from 'pino';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import { connectionsWithin } from '../http/connection/connection-limit.js';
import { RegistryExpressAdapter } from '../http/connection/registry-express.adapter.js';
import { AccessLog } from '../observability/access-log.js';
import type { LoggedRequest } from '../observability/logged-request.js';
import { describeListenFailure } from './listen-failure.js';
import { openFileLimit } from './open-file-limit.js';

/**
 * The server below a replica's or a front's application.
 *
 * @param routeOf see `AccessLog`.
 */
export function newAdapter(
  configuration: Readonly<Configuration>,
  logger: Logger,
  routeOf?: (request: LoggedRequest) => string,
): RegistryExpressAdapter {
  const { databasePoolSize, maxConnections, trustedProxies, tlsMode } = configuration;
  return new RegistryExpressAdapter({
    maxConnections: Math.min(maxConnections, connectionsWithin(openFileLimit(), databasePoolSize)),
    accessLog: new AccessLog(logger, routeOf),
    trustedProxies,
    tls: tlsMode !== 'off',
  });
}

/** @throws StartupError */
export async function listen(app: NestExpressApplication, { host, port }: Configuration): Promise<void> {
  // Not `app.listen`, which also logs the failure that is thrown here.
  const server = app.getHttpServer();
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new StartupError(describeListenFailure(cause, { host, port }), { cause });
  }
}

/** The address that an application listens on. */
export function urlOf(app: NestExpressApplication, { host, tlsMode }: Configuration): string {
  const { port } = app.getHttpServer().address() as AddressInfo;
  // A URL has no zone of an address (`fe80::1%eth0`).
  const name = host.includes(':') ? `[${host.replace(/%.*/, '')}]` : host;
  return `${tlsMode === 'off' ? 'http' : 'https'}://${name}:${port}`;
}
