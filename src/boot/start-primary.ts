import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { Logger } from 'pino';
import type { Serving } from './start-berth.js';
import type { Configuration } from '../config/configuration.js';
import { StartupError } from '../common/startup.error.js';
import { DRAIN_MS } from './drain.js';
import { describeListenFailure } from './listen-failure.js';
import { NestLogger } from '../observability/nest-logger.js';
import { Opened } from './cleanup-stack.js';
import { openOwnDatabase } from './claim-and-open-database.js';
import { prepareStorage } from './prepare-storage.js';
import { PrimaryModule } from './primary.module.js';
import { UploadSessionStore } from '../uploads/session/upload-session.store.js';
import { WorkerPool } from './workers/worker-pool.js';

/** What a worker's stop may take beside its drain: a database that doesn't answer, twice. */
const STOP_MARGIN_MS = 15_000;

/**
 * Starts a registry that workers serve. This process is responsible for what there is one of: the claim on the data directory, the
 * embedded Postgres, migrations, the first look at the storage and the address. So a bad setting stops the start with
 * one sentence, however many workers there would be.
 *
 * @throws StartupError with one sentence for an operator; whatever had been started is stopped again.
 */
export async function startPrimary(configuration: Readonly<Configuration>, logger: Logger): Promise<Serving> {
  const opened = new Opened();
  return opened.orUndo(logger, async () => {
    const { database, workerLock } = await openOwnDatabase(configuration, logger, opened);
    const app = await NestFactory.createApplicationContext(PrimaryModule.forRoot(configuration, database), {
      logger: new NestLogger(logger),
      abortOnError: false,
    });
    opened.add(() => app.close());
    const driver = await prepareStorage(app);
    const sessions = app.get(UploadSessionStore);
    if (database.isPrivate) await sessions.releaseAll(driver.abilities.outlivesProcess);
    const pool = new WorkerPool({
      count: configuration.processes,
      environment: { PORT: String(await freePort(configuration)) },
      lock: workerLock,
      stopPatienceMs: configuration.shutdownGraceSeconds * 1000 + DRAIN_MS + STOP_MARGIN_MS,
      free: (holder) => sessions.releaseHolder(holder, driver.abilities.outlivesProcess),
      logger,
    });
    opened.add(() => pool.stop());
    const url = await pool.start();
    const died = Promise.race([database.died, pool.died]);
    return { url, database, driver, died, close: () => opened.close() };
  });
}

/**
 * Proves that the address can be listened on, and answers its port. Where any will do (`PORT=0`) it is chosen here: Node
 * has workers share a random port as long as one of them lives, and takes another one after that.
 *
 * @throws StartupError
 */
async function freePort({ host, port }: Configuration): Promise<number> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new StartupError(describeListenFailure(cause), { cause });
  }
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}
