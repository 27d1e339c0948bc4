import type { Level } from 'pino';
import { formatDuration } from '../common/quantity.js';
import type { Log } from '../observability/logger.js';
import type { RunningServer } from './running-server.js';
import { fullGrace, shortGrace, type StopOptions } from './stop-options.js';
import { describeWait } from './work-in-progress.js';

/** Ctrl-C may arrive twice, because a parent forwards it too. Only a later signal ends Berth at once. */
const REPEAT_MS = 1_000;

/** Stops this process. */
export interface Stopping {
  /** Call it when Berth has started: from then on a stop closes it, and its failure ends the process. */
  started(berth: Stoppable): void;
  /**
   * Closes Berth and exits with code 0, without `options` as after SIGTERM. Idempotent, except that another
   * call may make the stop shorter.
   */
  stop(reason: string, options?: StopOptions): void;
}

type Stoppable = Pick<RunningServer, 'died' | 'work' | 'close'>;

type Settings = { readonly graceSeconds: number };

/** Stops the process on SIGINT and SIGTERM, and when Berth can no longer serve. Call it before the start. */
export function stopOnSignal(log: Log, settings: Settings): Stopping {
  const stopping = stopOnRequest(log, settings);
  let signalledAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (signalledAt !== undefined && performance.now() - signalledAt > REPEAT_MS) {
      log.logger.warn(
        { stop: { reason: signal } },
        `stopping at once (second signal, ${signal}): requests in progress are cut off`,
      );
      process.exit(1);
    }
    signalledAt ??= performance.now();
    stopping.stop(signal, signal === 'SIGINT' ? shortGrace(settings) : fullGrace(settings));
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);
  return stopping;
}

/**
 * Stops the process when Berth can no longer serve, and when `stop` is called.
 *
 * @param level of the lines that say so. Those of workers would repeat the primary's.
 */
export function stopOnRequest({ logger, output }: Log, settings: Settings, level: Level = 'info'): Stopping {
  let berth: Stoppable | undefined;
  let isStopping = false;
  let exitCode = 0;
  const close = async (running: Stoppable, reason: string, options: StopOptions) => {
    const begun = performance.now();
    const work = await running.work();
    const { graceSeconds } = options;
    const wait = describeWait(graceSeconds, work);
    logger[level]({ stop: { reason, ...work, graceSeconds } }, `stopping (${reason}): ${wait}`);
    try {
      await running.close(options);
    } catch (error) {
      exitCode = 1;
      logger.error({ err: error }, 'the stop failed');
    }
    const durationMs = Math.round(performance.now() - begun);
    logger[level]({ stop: { durationMs, exitCode } }, `stopped in ${formatDuration(durationMs)}`);
    await output.flush();
    process.exit(exitCode);
  };
  const stop = (code: number, reason: string, options = fullGrace(settings)) => {
    exitCode = Math.max(exitCode, code);
    // The first call waits for the end, and reports a failure.
    if (isStopping) return void berth?.close(options).catch(() => undefined);
    if (berth === undefined) {
      logger[level]({ stop: { reason } }, `stopping (${reason}): it had not started yet`);
      // Exit handlers stop the embedded Postgres and workers.
      process.exit(exitCode);
    }
    isStopping = true;
    void close(berth, reason, options);
  };
  return {
    started: (running) => {
      berth = running;
      void running.died.then((sentence) => {
        logger.fatal(sentence);
        stop(1, 'it cannot serve any more');
      });
    },
    stop: (reason, options) => stop(0, reason, options),
  };
}
