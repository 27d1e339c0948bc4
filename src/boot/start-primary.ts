import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { Logger } from 'pino';
import type { RunningBerth } from './start-berth.js';
import type { Configuration } from '../config/configuration.js';
import { StartupError } from '../common/startup.error.js';
import { DRAIN_MS } from './drain.js';
import { describeListenFailure } from './listen-failure.js';
import { NestLogger } from '../observability/nest-logger.js';
import { CleanupStack } from './cleanup-stack.js';
import { claimAndOpenDatabase } from './claim-and-open-database.js';
import { prepareStorage } from './prepare-storage.js';
import { PrimaryModule } from './primary.module.js';
import { UploadSessionStore } from '../uploads/session/upload-session.store.js';
import { WorkerPool } from './workers/worker-pool.js';

/** Time for a worker's stop beyond its drain: two timeouts of a database that does not respond. */
const STOP_MARGIN_MS = 15_000;

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
    const pool = new WorkerPool({
      count: configuration.processes,
      environment: { PORT: String(await freePort(configuration)) },
      lock: workerLock,
      stopTimeoutMs: configuration.shutdownGraceSeconds * 1000 + DRAIN_MS + STOP_MARGIN_MS,
      releaseLeases: (holder) => sessions.releaseHolder(holder, driver.abilities.outlivesProcess),
      logger,
    });
    cleanup.add(() => pool.stop());
    const url = await pool.start();
    const died = Promise.race([database.died, pool.died]);
    return { url, database, driver, died, close: () => cleanup.close() };
  });
}

/**
 * Checks that the address is free, and returns its port. For `PORT=0` the port is chosen here: with Node's
 * choice, workers would get another port after all of them ended.
 *
 * @throws StartupError
 */
async function freePort({ host, port }: Configuration): Promise<number> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new StartupError(describeListenFailure(cause, { host, port }), { cause });
  }
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}
