import type { Logger } from 'pino';
import type { Configuration } from '../config/configuration.js';
import { CleanupStack } from './cleanup-stack.js';
import { freePort } from './free-port.js';
import { serveMetrics } from './metrics-server.js';
import type { RunningServer } from './running-server.js';
import { serveFromWorkers } from './serve-from-workers.js';
import { WorkerPool } from './workers/worker-pool.js';

/** How many generations of old workers may finish their requests after restarts. */
const OLD_GENERATIONS = 4;

/**
 * Starts a front that workers serve, also a single one: this process keeps the socket when they are replaced.
 *
 * @throws StartupError; what was started is stopped.
 */
export async function startFront(
  configuration: Readonly<Configuration>,
  logger: Logger,
): Promise<RunningServer> {
  const cleanup = new CleanupStack();
  return cleanup.closeOnFailure(logger, async () => {
    const port = await freePort(configuration);
    const pool = new WorkerPool({
      count: configuration.processes,
      oldGenerations: OLD_GENERATIONS,
      handoverSeconds: configuration.graceSeconds,
      environment: { PORT: String(port) },
      logger,
    });
    const metrics = { text: () => pool.metrics() };
    const metricsUrl = await serveMetrics(configuration, metrics, logger, cleanup);
    return { ...(await serveFromWorkers(pool, configuration, cleanup)), metricsUrl };
  });
}
