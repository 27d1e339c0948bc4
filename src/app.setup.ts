import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { NestFactory } from '@nestjs/core';
import type { NextFunction, Request, Response } from 'express';
import type { Logger } from 'pino';
import { setUpApiDocs } from './api-docs.setup.js';
import { AppModule } from './app.module.js';
import type { Configuration } from './config/configuration.js';
import { claimDataDirectory } from './config/data-directory.js';
import { StartupError } from './config/startup.error.js';
import { type Database, openDatabase } from './database/database.js';
import { RegistryExpressAdapter } from './http/registry-express.adapter.js';
import { createAccessLog } from './observability/access-log.js';
import { NestLogger } from './observability/nest-logger.js';
import { STORAGE_DRIVER, type StorageDriver } from './storage/storage-driver.js';
import { StorageError } from './storage/storage.errors.js';
import { ActiveWriters } from './uploads/active-writers.js';
import { UploadSessionStore } from './uploads/upload-session.store.js';

/** How long requests may go on after the stop was asked for, before their connections are cut. */
const DRAIN_MS = 10_000;

/** A registry that serves. */
export interface Berth {
  readonly url: string;
  readonly app: NestExpressApplication;
  readonly database: Database;
  readonly driver: StorageDriver;
  /**
   * Stops accepting, has running uploads checkpointed and let go, lets other requests finish within a bound, and lets go
   * of everything, whatever became of the thing before.
   */
  close(): Promise<void>;
}

/**
 * Starts a whole registry: what `main.ts` runs and what end-to-end tests talk to.
 *
 * @throws StartupError with one sentence for an operator; whatever had been started is stopped again.
 */
export async function startBerth(configuration: Readonly<Configuration>, logger: Logger): Promise<Berth> {
  const opened: (() => Promise<void> | void)[] = [];
  const close = async () => {
    const failures: unknown[] = [];
    for (const undo of opened.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'not everything could be closed');
  };
  try {
    if (configuration.databaseUrl === undefined) {
      const claim = await claimDataDirectory(configuration.dataDir);
      opened.push(() => claim.release());
    }
    const database = await openDatabase(configuration, (line) => logger.debug({ context: 'postgres' }, line));
    opened.push(() => database.close());
    const app = await createApp(configuration, database, logger);
    opened.push(() => app.close());
    const driver = await prepareStorage(app);
    if (database.isPrivate) await app.get(UploadSessionStore).releaseAll();
    await listen(app, configuration);
    opened.push(() => drain(app));
    return { url: urlOf(app, configuration), app, database, driver, close };
  } catch (error) {
    await close().catch((failure: unknown) => logger.error({ err: failure }, 'while giving up the start'));
    throw error;
  }
}

async function createApp(
  configuration: Readonly<Configuration>,
  database: Database,
  logger: Logger,
): Promise<NestExpressApplication> {
  const adapter = new RegistryExpressAdapter();
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.forRoot(configuration, database),
    adapter,
    {
      logger: new NestLogger(logger),
      abortOnError: false,
      // Nothing may touch the body of a layer or a manifest.
      bodyParser: false,
    },
  );
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(createAccessLog(logger));
  app.use('/v2', (_request: Request, response: Response, next: NextFunction) => {
    response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
    next();
  });
  setUpApiDocs(app);
  await app.init();
  return app;
}

async function prepareStorage(app: NestExpressApplication): Promise<StorageDriver> {
  const driver = app.get<StorageDriver>(STORAGE_DRIVER);
  try {
    await driver.prepare();
    return driver;
  } catch (cause) {
    if (cause instanceof StorageError)
      throw new StartupError(`The storage can't be used: ${cause.message}.`, { cause });
    throw cause;
  }
}

async function listen(app: NestExpressApplication, { host, port }: Configuration): Promise<void> {
  // Not `app.listen`, which logs a failure before it throws it: an operator is told once.
  const server = app.getHttpServer();
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new StartupError(describeListenFailure(cause), { cause });
  }
}

function describeListenFailure(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return 'Another process listens on the address of HOST and PORT: stop it, or set PORT to a free one.';
    case 'EACCES':
      return 'PORT may not be opened by this user: set PORT to 1024 or above.';
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'HOST is not an address of this machine.';
    default:
      return `The address of HOST and PORT can't be listened on (${String(code)}).`;
  }
}

/** Ends with no request running, or after `DRAIN_MS`: whoever still waits then, for storage say, is cut off. */
async function drain(app: NestExpressApplication): Promise<void> {
  const server = app.getHttpServer();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const patience = new AbortController();
  const timeout = delay(DRAIN_MS, undefined, { signal: patience.signal }).catch(() => undefined);
  await Promise.race([Promise.all([closed, app.get(ActiveWriters).stop()]), timeout]);
  patience.abort();
  clearInterval(idle);
  server.closeAllConnections();
}

function urlOf(app: NestExpressApplication, { host }: Configuration): string {
  const { port } = app.getHttpServer().address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
