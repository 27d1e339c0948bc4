import type { NestExpressApplication } from '@nestjs/platform-express';
import { NestFactory } from '@nestjs/core';
import type { NextFunction, Request, Response } from 'express';
import type { Logger } from 'pino';
import { type FirstAdmin, FirstRun } from '../accounts/first-run/first-run.js';
import { crossOriginOptions } from '../access/cross-origin.js';
import { setUpApiDocs } from './api-docs.js';
import { AppModule } from '../app.module.js';
import type { Configuration } from '../config/configuration.js';
import { quantity } from '../common/quantity.js';
import type { Database } from '../database/database.js';
import { Drain } from './drain.js';
import { ReadinessService } from '../health/readiness.service.js';
import type { RegistryExpressAdapter } from '../http/connection/registry-express.adapter.js';
import { readSmallBodies } from '../http/small-bodies.js';
import { refuseUndecodablePath } from '../http/undecodable-path.js';
import { NestLogger } from '../observability/nest-logger.js';
import { type MetricsSource, OWN_METRICS } from '../observability/metrics/metrics-source.js';
import { CleanupStack } from './cleanup-stack.js';
import { serveMetrics } from './metrics-server.js';
import { listen, newAdapter, urlOf } from './registry-server.js';
import type { RunningServer } from './running-server.js';
import { claimAndOpenDatabase } from './claim-and-open-database.js';
import { prepareStorage } from './prepare-storage.js';
import { fullGrace } from './stop-options.js';
import { UploadEventLog } from '../events/upload-event-log.js';
import type { StorageDriver } from '../storage/storage-driver.js';
import { fingerprintOf } from '../tls/key-pair.js';
import { TlsCertificates } from '../tls/tls-certificates.js';
import { ActiveWriters } from '../uploads/session/active-writers.js';
import { UploadSessionStore } from '../uploads/session/upload-session.store.js';

/** A registry that serves, in this process or in workers. */
export interface RunningBerth extends RunningServer {
  readonly database: Database;
  readonly driver: StorageDriver;
  /** The admin that this start made, or whose first password nobody has replaced. */
  readonly firstAdmin: FirstAdmin | undefined;
  /** SHA-256 of the certificate of Berth's own authority, if it has issued the server's: `3F:A2:…`. */
  readonly authority: string | undefined;
}

/** A registry that this process serves. */
export interface Berth extends RunningBerth {
  readonly app: NestExpressApplication;
}

/**
 * Starts a registry in this process.
 *
 * @throws StartupError; what was started is stopped.
 */
export async function startBerth(configuration: Readonly<Configuration>, logger: Logger): Promise<Berth> {
  const cleanup = new CleanupStack();
  return cleanup.closeOnFailure(logger, async () => {
    const metricsUrl = await serveMetrics(configuration, OWN_METRICS, logger, cleanup);
    const { database } = await claimAndOpenDatabase(configuration, logger, cleanup);
    let firstAdmin: FirstAdmin | undefined;
    const berth = await serve(configuration, database, logger, cleanup, async (app, driver) => {
      if (database.isPrivate) await app.get(UploadSessionStore).releaseAll(driver.abilities.outlivesProcess);
      firstAdmin = await app.get(FirstRun).run();
    });
    return { ...berth, firstAdmin, metricsUrl };
  });
}

/**
 * Serves over an open database. @param beforeListening is called when everything is ready, before the first
 * request. @param metrics where this host's come from.
 */
export async function serve(
  configuration: Readonly<Configuration>,
  database: Database,
  logger: Logger,
  cleanup: CleanupStack,
  beforeListening: (app: NestExpressApplication, driver: StorageDriver) => Promise<void>,
  metrics: MetricsSource = OWN_METRICS,
): Promise<Berth> {
  const adapter = newAdapter(configuration, logger);
  const app = await createApp(configuration, database, metrics, logger, adapter);
  cleanup.add(() => app.close());
  const driver = await prepareStorage(app);
  await app.get(TlsCertificates).provide((pair) => adapter.useCertificate(pair));
  await beforeListening(app, driver);
  const drain = new Drain(app.getHttpServer());
  await listen(app, configuration);
  // Without a listener, a failed `accept`, for example for lack of file descriptors, would end the process.
  app.getHttpServer().on('error', (error) => logger.error({ err: error }, 'a connection was not accepted'));
  cleanup.add(() =>
    drain.run((reason) => {
      const writers = app.get(ActiveWriters);
      if (writers.count > 0)
        logger.info({ stop: { uploads: writers.count } }, describeCutOff(reason, writers.count));
      return writers.stop();
    }),
  );
  let closing: Promise<void> | undefined;
  const close = (options = fullGrace(configuration)) => {
    drain.limit(options);
    // At a handover other processes accept the connections of this address: it stays ready.
    if (!options.isHandover) app.get(ReadinessService).stop();
    closing ??= cleanup.close();
    return closing;
  };
  const work = () =>
    Promise.resolve({
      requests: drain.requests,
      uploads: app.get(ActiveWriters).count,
      events: app.get(UploadEventLog).count,
    });
  const handOver = () =>
    logger.warn(
      'SIGHUP: nothing was restarted, because one process serves and cannot hand over to another: ' +
        'WORKERS=2 or WORKERS=auto makes restarts without a gap possible',
    );
  const url = urlOf(app, configuration);
  const { authority: ca } = app.get(TlsCertificates);
  const authority = ca === undefined ? undefined : fingerprintOf(ca);
  const { died } = database;
  return { url, app, database, driver, firstAdmin: undefined, authority, died, work, handOver, close };
}

async function createApp(
  configuration: Readonly<Configuration>,
  database: Database,
  metrics: MetricsSource,
  logger: Logger,
  adapter: RegistryExpressAdapter,
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.forRoot(configuration, database, metrics),
    adapter,
    {
      logger: new NestLogger(logger),
      abortOnError: false,
      // Layers and manifests are read by their handlers.
      bodyParser: false,
    },
  );
  app.disable('x-powered-by');
  app.disable('etag');
  app.use('/v2', (_request: Request, response: Response, next: NextFunction) => {
    response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
    next();
  });
  if (configuration.corsOrigins.length > 0) app.enableCors(crossOriginOptions(configuration));
  app.use(refuseUndecodablePath);
  readSmallBodies(app, configuration);
  setUpApiDocs(app);
  await app.init();
  return app;
}

function describeCutOff(reason: string, uploads: number): string {
  const keep = uploads === 1 ? 'keeps' : 'keep';
  return `${reason}: ${quantity(uploads, 'upload')} ${keep} what arrived and can be resumed`;
}
