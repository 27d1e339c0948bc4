import 'reflect-metadata';
import cluster from 'node:cluster';
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';
import type { RunningBerth } from './boot/start-berth.js';
import type { RunningServer } from './boot/running-server.js';
import { banner, startedFields } from './boot/banner.js';
import { frontBanner } from './boot/front-banner.js';
import { clientHosts } from './boot/client-addresses.js';
import { type Command, commandOf, HELP } from './boot/command-line.js';
import { HangUps } from './boot/hang-ups.js';
import { refuseUnknownHost } from './boot/free-port.js';
import type { Configuration } from './config/configuration.js';
import { describeConfiguration } from './config/describe-configuration.js';
import { addDotEnv } from './config/dot-env.js';
import { loadConfiguration } from './config/load-configuration.js';
import { describeUnknownNames, describeUnusedStores } from './config/setting-names.js';
import { refuseLowFileLimit } from './boot/open-file-limit.js';
import { StartupError } from './common/startup.error.js';
import { VERSION } from './common/version.js';
import { checkCertificateFiles } from './tls/certificate-files.js';
import { BoundedOutput } from './observability/bounded-output.js';
import { type Log, openLog } from './observability/logger.js';
import { addProcessMetrics } from './observability/metrics/process.metrics.js';
import { stopOnRequest, stopOnSignal } from './boot/stop-on-signal.js';
import { AT_ONCE, shortGrace } from './boot/stop-options.js';
import { PrimaryLink } from './boot/workers/primary-link.js';

/** What the process that the operator starts does for each command. */
const COMMANDS: Record<Command, () => Promise<void> | void> = {
  start: main,
  check,
  help: () => void process.stdout.write(HELP),
  version: () => void process.stdout.write(`${VERSION}\n`),
};

/** Reads the settings, with those of the `.env` file. @throws StartupError */
async function configure() {
  const fromFile = addDotEnv(process.env);
  await refuseUnknownHost(process.env);
  const configuration = loadConfiguration(process.env);
  const warnings = [
    describeUnknownNames(process.env),
    describeUnusedStores(configuration, process.env),
    await checkCertificateFiles(configuration),
  ];
  return { configuration, fromFile, warnings: warnings.filter((warning) => warning !== undefined) };
}

/** Prints the settings in force. */
async function check(): Promise<void> {
  const { configuration, fromFile, warnings } = await configure();
  for (const warning of warnings) process.stderr.write(`Warning: ${warning}\n`);
  const settings = describeConfiguration(configuration, process.env, fromFile);
  process.stdout.write(`${settings}\n\nThe configuration is valid.\n`);
}

/** The main process: serves requests itself, or starts workers that do. */
async function main(): Promise<void> {
  const { configuration, warnings } = await configure();
  refuseLowFileLimit();
  const log = await openLog(configuration);
  addProcessMetrics();
  for (const warning of warnings) log.logger.warn(warning);
  const stopping = stopOnSignal(log, configuration);
  const hangUps = new HangUps(() => stopping.stop('the terminal was closed', shortGrace(configuration)));
  const hosts = clientHosts(configuration);
  if (configuration.role === 'front') {
    const { startFront } = await import('./boot/start-front.js');
    const front = await startFront(configuration, log.logger);
    stopping.started(front);
    hangUps.onRestart(() => front.handOver());
    return announceFront(log, front, configuration);
  }
  const berth = await start(configuration, log.logger);
  stopping.started(berth);
  hangUps.onRestart(() => berth.handOver());
  await announce(log, berth, configuration, await hosts);
}

/** As `announce`. */
function announceFront(
  { logger, output, isPretty }: Log,
  { url, metricsUrl }: RunningServer,
  configuration: Configuration,
): void {
  const startSeconds = process.uptime();
  const { frontReplicas } = configuration;
  if (isPretty) output.write(frontBanner({ url, metricsUrl, replicas: frontReplicas, startSeconds }));
  else
    logger
      .child({}, { level: 'info' })
      .info(
        { version: VERSION, url, metrics: metricsUrl, replicas: frontReplicas },
        `started: a front listens at ${url}/v2/`,
      );
}

/**
 * Says that requests are served, at every LOG_LEVEL: programs wait for it. A terminal also gets the first
 * admin's password, once; a log never does.
 */
async function announce(
  { logger, output, isPretty }: Log,
  berth: RunningBerth,
  configuration: Configuration,
  hosts: readonly string[],
): Promise<void> {
  const facts = { berth, configuration, hosts, version: VERSION, startSeconds: process.uptime() };
  const { name, initial } = berth.firstAdmin ?? {};
  const showsPassword = isPretty && process.stdout.isTTY;
  if (initial !== undefined && !showsPassword) {
    logger.warn(`the password of the first admin, ${name}, is in ${initial.file.path}`);
  }
  if (isPretty) output.write(banner(facts, showsPassword));
  else logger.child({}, { level: 'info' }).info(startedFields(facts), `started: ready at ${berth.url}/v2/`);
  if (initial === undefined || !showsPassword) return;
  // A terminal that is frozen or gone has shown nothing: then the next start shows it.
  if (await output.flush()) await initial.file.remove();
}

/**
 * A primary doesn't load the modules of its workers: that halves the time until they fork, and saves 25 MB.
 */
async function start(configuration: Configuration, logger: Logger): Promise<RunningBerth> {
  if (configuration.processes === 1)
    return (await import('./boot/start-berth.js')).startBerth(configuration, logger);
  return (await import('./boot/start-primary.js')).startPrimary(configuration, logger);
}

/** A process that a primary forked. It has the primary's settings, also if the `.env` file has changed. */
async function mainOfWorker(): Promise<void> {
  const configuration = loadConfiguration(process.env);
  const log = await openLog(configuration);
  addProcessMetrics();
  const stopping = stopOnRequest(log, configuration, 'debug');
  const primary = new PrimaryLink();
  primary.onSignals();
  primary.onAskedWhetherAlive();
  primary.onStop((options) => stopping.stop('the primary asks for it', options));
  // The next start waits for this process.
  primary.onLost(() => {
    log.logger.error('the primary has ended without stopping its workers: this worker stops at once');
    stopping.stop('the primary has ended', AT_ONCE);
  });
  const server = await startWorkerOf(configuration, log.logger, primary);
  primary.onAskedForWork(() => server.work());
  stopping.started(server);
}

async function startWorkerOf(
  configuration: Configuration,
  logger: Logger,
  primary: PrimaryLink,
): Promise<RunningServer> {
  if (configuration.role === 'front')
    return (await import('./boot/start-front-worker.js')).startFrontWorker(configuration, logger, primary);
  return (await import('./boot/start-worker.js')).startWorker(configuration, logger, primary);
}

// How much the heap may grow, in percent, before V8 collects garbage. V8's own choice is small in a process
// that was idle, and the bytes of passing layers count as growth: see docs/adr/0016.
setFlagsFromString('--heap-growing-percent=300');

// Otherwise the AWS SDK prints a warning on Node 20, which operators can't act on.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

// A library that prints to a broken output must not end the process. This also opens both streams, which
// makes a pipe or a socket non-blocking: an uncaught exception can end the process even if its message is not
// read.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

try {
  await (cluster.isWorker ? mainOfWorker() : COMMANDS[commandOf(process.argv.slice(2))]());
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  // The primary prints the message of a worker.
  if (cluster.isWorker) process.exit(1);
  const output = new BoundedOutput(2);
  process.once('exit', () => output.writeLast());
  output.write(`${error.message}\n`);
  process.exitCode = 1;
}
