import type { Logger } from 'pino';
import { serve, type Serving } from './start-berth.js';
import type { Configuration } from '../config/configuration.js';
import { Replica } from '../common/replica.js';
import { StartupError } from '../common/startup.error.js';
import { joinDatabase } from '../database/database.js';
import { Opened } from './cleanup-stack.js';
import type { PrimaryLink } from './workers/primary-link.js';

/**
 * Starts one worker: a replica like any other, over the database that its primary has opened. It claims, migrates and
 * frees nothing.
 *
 * @throws StartupError, of which the primary has been told.
 */
export async function startWorker(
  configuration: Readonly<Configuration>,
  logger: Logger,
  primary: PrimaryLink,
): Promise<Serving> {
  const opened = new Opened();
  try {
    const serving = await opened.orUndo(logger, async () => {
      const database = await joinDatabase(configuration);
      opened.add(() => database.close());
      return serve(configuration, database, logger, opened, (app) =>
        primary.tell({ berth: 'holder', name: app.get(Replica).name }),
      );
    });
    await primary.tell({ berth: 'serving', url: serving.url });
    return serving;
  } catch (error) {
    if (error instanceof StartupError) await primary.tell({ berth: 'failed', sentence: error.message });
    throw error;
  }
}
