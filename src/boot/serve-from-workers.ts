import type { CleanupStack } from './cleanup-stack.js';
import type { RunningServer } from './running-server.js';
import { AT_ONCE, fullGrace } from './stop-options.js';
import type { WorkerPool } from './workers/worker-pool.js';

/**
 * Starts the workers, and stops them first when everything is closed.
 *
 * @throws StartupError if they can't serve.
 */
export async function serveFromWorkers(
  pool: WorkerPool,
  configuration: { readonly graceSeconds: number },
  cleanup: CleanupStack,
): Promise<RunningServer> {
  let stopOptions = AT_ONCE;
  cleanup.add(() => pool.stop(stopOptions));
  const url = await pool.start();
  let closing: Promise<void> | undefined;
  return {
    ...{ url, died: pool.died },
    work: () => pool.work(),
    handOver: () => pool.restart(),
    close: (options = fullGrace(configuration)) => {
      if (closing !== undefined) return pool.stop(options);
      stopOptions = options;
      closing = cleanup.close();
      return closing;
    },
  };
}
