import 'reflect-metadata';
import cluster from 'node:cluster';
import { setFlagsFromString } from 'node:v8';
import { config as loadDotEnv } from 'dotenv';
import type { Logger } from 'pino';
import type { Serving } from './boot/start-berth.js';
import { banner } from './boot/banner.js';
import type { Configuration } from './config/configuration.js';
import { loadConfiguration } from './config/load-configuration.js';
import { refuseLowFileLimit } from './boot/open-file-limit.js';
import { StartupError } from './common/startup.error.js';
import { VERSION } from './common/version.js';
import { BoundedOutput } from './observability/bounded-output.js';
import { openLog } from './observability/logger.js';
import { stopOnSignal } from './boot/stop-on-signal.js';
import { PrimaryLink } from './boot/workers/primary-link.js';

/** The process that an operator starts: serves itself, or has workers that do. */
async function main(): Promise<void> {
  loadDotEnv({ quiet: true });
  const configuration = loadConfiguration(process.env);
  refuseLowFileLimit();
  const log = await openLog(configuration);
  const stopping = stopOnSignal(log);
  const serving = await start(configuration, log.logger);
  stopping.serving(serving);
  log.output.write(banner(serving, configuration, VERSION));
}

/** A primary doesn't load what only its workers run: half the time until they are forked, and 25 MB. */
async function start(configuration: Configuration, logger: Logger): Promise<Serving> {
  if (configuration.processes === 1)
    return (await import('./boot/start-berth.js')).startBerth(configuration, logger);
  return (await import('./boot/start-primary.js')).startPrimary(configuration, logger);
}

/**
 * A process that a primary has forked. Its settings are the primary's, also where a `.env` file has changed
 * since.
 */
async function mainOfWorker(): Promise<void> {
  const configuration = loadConfiguration(process.env);
  const log = await openLog(configuration);
  const stopping = stopOnSignal(log);
  const primary = new PrimaryLink();
  primary.onStop(() => stopping.stop());
  // The next start waits for this process.
  primary.onLost(() => stopping.stop({ atOnce: true }));
  const { startWorker } = await import('./boot/start-worker.js');
  stopping.serving(await startWorker(configuration, log.logger, primary));
}

// How much of what it had the heap may grow by, in percent, before V8 takes stock of it. V8's own choice goes
// up to this in a busy process, and is little in one that was idle, where layers that pass through count as
// growth: see docs/adr/0016. It is read each time.
setFlagsFromString('--heap-growing-percent=300');

// What a library prints where nothing can be written is no reason to end. This also opens both streams, which
// makes a pipe or a socket non-blocking: the process can end with an uncaught exception also where nothing
// reads its message.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

try {
  await (cluster.isWorker ? mainOfWorker() : main());
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  // What a worker has to say its primary says, once.
  if (cluster.isWorker) process.exit(1);
  const output = new BoundedOutput(2);
  process.once('exit', () => output.writeLast());
  output.write(`${error.message}\n`);
  process.exitCode = 1;
}
