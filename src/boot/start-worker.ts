import type { INestApplicationContext } from '@nestjs/common';
import type { Logger } from 'pino';
import { serve, type RunningBerth } from './start-berth.js';
import type { Configuration } from '../config/configuration.js';
import { Replica } from '../common/replica.js';
import { StartupError } from '../common/startup.error.js';
import { VERSION } from '../common/version.js';
import { joinDatabase } from '../database/database.js';
import { CleanupStack } from './cleanup-stack.js';
import type { PrimaryLink } from './workers/primary-link.js';
import { tellMetrics } from './workers/tell-metrics.js';

/**
 * Starts one worker: a replica over the database that its primary opened.
 *
 * @throws StartupError, after the primary was told.
 */
export async function startWorker(
  configuration: Readonly<Configuration>,
  logger: Logger,
  primary: PrimaryLink,
): Promise<RunningBerth> {
  const cleanup = new CleanupStack();
  try {
    tellMetrics(primary, cleanup);
    const serving = await cleanup.closeOnFailure(logger, async () => {
      const database = await joinDatabase(configuration, (line) => logger.warn(line));
      cleanup.add(() => database.close());
      const announce = (app: INestApplicationContext) =>
        primary.tell({ berth: 'holder', name: app.get(Replica).name });
      const metrics = { text: primary.allMetrics };
      return serve(configuration, database, logger, cleanup, announce, metrics);
    });
    await primary.tell({ berth: 'serving', url: serving.url, version: VERSION });
    return serving;
  } catch (error) {
    if (error instanceof StartupError) await primary.tell({ berth: 'failed', reason: error.message });
    throw error;
  }
}
