import { NestFactory } from '@nestjs/core';
import type { Logger } from 'pino';
import { FirstRun } from '../accounts/first-run/first-run.js';
import type { RunningBerth } from './start-berth.js';
import type { Configuration } from '../config/configuration.js';
import { freePort } from './free-port.js';
import { serveMetrics } from './metrics-server.js';
import { NestLogger } from '../observability/nest-logger.js';
import { CleanupStack } from './cleanup-stack.js';
import { claimAndOpenDatabase } from './claim-and-open-database.js';
import { OLD_GENERATIONS } from '../database/connection/connection-demand.js';
import { prepareStorage } from './prepare-storage.js';
import { PrimaryModule } from './primary.module.js';
import { fingerprintOf } from '../tls/key-pair.js';
import { TlsAuthority } from '../tls/tls-authority.js';
import { serveFromWorkers } from './serve-from-workers.js';
import { UploadSessionStore } from '../uploads/session/upload-session.store.js';
import { WorkerPool } from './workers/worker-pool.js';

/**
 * Starts a registry that workers serve. This process claims the data directory, starts the embedded Postgres,
 * runs migrations, and checks the storage and the address. So a wrong setting is reported once, not by each
 * worker.
 *
 * @throws StartupError; what was started is stopped.
 */
export async function startPrimary(
  configuration: Readonly<Configuration>,
  logger: Logger,
): Promise<RunningBerth> {
  const cleanup = new CleanupStack();
  return cleanup.closeOnFailure(logger, async () => {
    const { database, workerLock } = await claimAndOpenDatabase(configuration, logger, cleanup);
    const app = await NestFactory.createApplicationContext(PrimaryModule.forRoot(configuration, database), {
      logger: new NestLogger(logger),
      abortOnError: false,
    });
    cleanup.add(() => app.close());
    const driver = await prepareStorage(app);
    const sessions = app.get(UploadSessionStore);
    if (database.isPrivate) await sessions.releaseAll(driver.abilities.outlivesProcess);
    // Before the workers start: each of them would make its own.
    const firstAdmin = await app.get(FirstRun).run();
    const authority =
      configuration.tlsMode === 'auto' ? fingerprintOf(await app.get(TlsAuthority).establish()) : undefined;
    // For PORT=0 the port is chosen here: with Node's choice, workers would get another port after all of
    // them ended.
    const port = await freePort(configuration);
    const pool = new WorkerPool({
      count: configuration.processes,
      oldGenerations: OLD_GENERATIONS,
      handoverSeconds: configuration.graceSeconds,
      environment: { PORT: String(port) },
      lock: workerLock,
      releaseLeases: (holder) => sessions.releaseHolder(holder, driver.abilities.outlivesProcess),
      logger,
    });
    const metrics = { text: () => pool.metrics() };
    const metricsUrl = await serveMetrics(configuration, metrics, logger, cleanup);
    const workers = await serveFromWorkers(pool, configuration, cleanup);
    const died = Promise.race([database.died, workers.died]);
    return { ...workers, ...{ metricsUrl, database, driver, firstAdmin, authority, died } };
  });
}
