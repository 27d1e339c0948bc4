import 'reflect-metadata';
import { config as loadDotEnv } from 'dotenv';
import { startBerth } from './app.setup.js';
import { banner } from './banner.js';
import { loadConfiguration } from './config/load-configuration.js';
import { StartupError } from './config/startup.error.js';
import { VERSION } from './config/version.js';
import { createLogger } from './observability/logger.js';
import { stopOnSignal } from './stop-on-signal.js';

try {
  loadDotEnv({ quiet: true });
  const configuration = loadConfiguration(process.env);
  const logger = createLogger(configuration);
  const serving = stopOnSignal(logger);
  const berth = await startBerth(configuration, logger);
  serving(berth);
  process.stdout.write(banner(berth, configuration, VERSION));
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
