import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import type { Logger } from 'pino';
import { StartupError } from '../common/startup.error.js';
import { VERSION } from '../common/version.js';
import type { Configuration } from '../config/configuration.js';
import { FrontModule } from '../front/front.module.js';
import { FrontService } from '../front/front.service.js';
import { ReplicaSet } from '../front/replicas/replica-set.js';
import type { ClientRequest } from '../front/requests/forwarded-headers.js';
import { ROUTE_LABELS, routeOf } from '../front/requests/route.js';
import type { RegistryExpressAdapter } from '../http/connection/registry-express.adapter.js';
import { PeriodicTask } from '../maintenance/periodic-task.js';
import { NestLogger } from '../observability/nest-logger.js';
import { FileCertificate } from '../tls/file-certificate.js';
import { CleanupStack } from './cleanup-stack.js';
import { Drain } from './drain.js';
import { STALL_LIMITS } from './moving-requests.js';
import { listen, newAdapter, urlOf } from './registry-server.js';
import type { RunningServer } from './running-server.js';
import { fullGrace } from './stop-options.js';
import type { PrimaryLink } from './workers/primary-link.js';
import { tellMetrics } from './workers/tell-metrics.js';

type Settings = Readonly<Configuration>;

/**
 * Starts one worker of a front.
 *
 * @throws StartupError, after the primary was told.
 */
export async function startFrontWorker(
  configuration: Settings,
  logger: Logger,
  primary: PrimaryLink,
): Promise<RunningServer> {
  const cleanup = new CleanupStack();
  try {
    tellMetrics(primary, cleanup);
    const front = await cleanup.closeOnFailure(logger, () => serveFront(configuration, logger, cleanup));
    await primary.tell({ berth: 'serving', url: front.url, version: VERSION });
    return front;
  } catch (error) {
    if (error instanceof StartupError) await primary.tell({ berth: 'failed', reason: error.message });
    throw error;
  }
}

/** Serves a front in this process. */
export async function serveFront(
  configuration: Settings,
  logger: Logger,
  cleanup: CleanupStack,
): Promise<RunningServer> {
  const adapter = newAdapter(configuration, logger, (request) => ROUTE_LABELS[routeOf(request)]);
  const app = await createApp(configuration, logger, adapter);
  cleanup.add(() => app.close());
  if (configuration.tlsMode === 'files') cleanup.add(await keepCertificate(configuration, adapter));
  await app.get(ReplicaSet).start();
  const server = app.getHttpServer();
  // A request that waits for a replica is no reason to stop.
  const stallMs = configuration.frontRetrySeconds * 1000;
  const { receivingMs, sendingMs } = STALL_LIMITS;
  const limits = { receivingMs: receivingMs + stallMs, sendingMs: sendingMs + stallMs };
  const drain = new Drain(server, limits);
  await listen(app, configuration);
  server.on('error', (error) => logger.error({ err: error }, 'a connection was not accepted'));
  cleanup.add(() => drain.run(() => Promise.resolve()));
  let closing: Promise<void> | undefined;
  return {
    url: urlOf(app, configuration),
    died: new Promise<string>(() => undefined),
    work: () => Promise.resolve({ requests: drain.requests, uploads: 0, events: 0 }),
    handOver: () => undefined,
    close: (options = fullGrace(configuration)) => {
      drain.limit(options);
      closing ??= cleanup.close();
      return closing;
    },
  };
}

async function createApp(
  configuration: Settings,
  logger: Logger,
  adapter: RegistryExpressAdapter,
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(FrontModule.forRoot(configuration), adapter, {
    logger: new NestLogger(logger),
    abortOnError: false,
    bodyParser: false,
  });
  app.disable('x-powered-by');
  app.disable('etag');
  const front = app.get(FrontService);
  app.use((request: Request & ClientRequest, response: Response, next: NextFunction) => {
    if (request.path.startsWith('/health/')) next();
    else void front.handle(request, response);
  });
  await app.init();
  return app;
}

/** Uses the certificate of `TLS_CERT_FILE`, and each new one. Returns what ends that. @throws StartupError */
async function keepCertificate(
  configuration: Settings,
  adapter: RegistryExpressAdapter,
): Promise<() => Promise<void>> {
  const source = new FileCertificate(configuration);
  adapter.useCertificate(await source.load());
  const renewal = new PeriodicTask({
    name: 'TLS certificate',
    intervalMs: source.intervalMs,
    run: async () => {
      const pair = await source.renew();
      if (pair !== undefined) adapter.useCertificate(pair);
      return false;
    },
  });
  renewal.start();
  return () => renewal.stop();
}
