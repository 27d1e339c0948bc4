import type { Level } from 'pino';
import { formatDuration } from '../common/quantity.js';
import type { Configuration } from '../config/configuration.js';
import type { Log } from '../observability/logger.js';
import type { RunningBerth } from './start-berth.js';
import { describeWait } from './work-in-progress.js';

/** Ctrl-C may arrive twice, because a parent forwards it too. Only a later signal ends Berth at once. */
const REPEAT_MS = 1_000;

/** Stops this process. */
export interface Stopping {
  /** Call it when Berth has started: from then on a stop closes it, and its failure ends the process. */
  started(berth: RunningBerth): void;
  /** Closes Berth and exits with code 0; `atOnce`: without waiting for requests. Idempotent. */
  stop(reason: string, options?: { readonly atOnce: boolean }): void;
}

/**
 * Stops the process on SIGINT and SIGTERM, and when Berth can no longer serve. Call it before the start.
 *
 * @param level of the lines that say so. Those of workers would repeat the primary's.
 */
export function stopOnSignal(
  { logger, output }: Log,
  { shutdownGraceSeconds }: Configuration,
  level: Level = 'info',
): Stopping {
  let berth: RunningBerth | undefined;
  let stoppingSince: number | undefined;
  let exitCode = 0;
  const close = async (running: RunningBerth, reason: string, options: { readonly atOnce: boolean }) => {
    const begun = performance.now();
    const work = await running.work();
    const graceSeconds = options.atOnce ? 0 : shutdownGraceSeconds;
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
  const stop = (code: number, reason: string, options = { atOnce: false }) => {
    exitCode = Math.max(exitCode, code);
    if (stoppingSince !== undefined) return;
    if (berth === undefined) {
      logger[level]({ stop: { reason } }, `stopping (${reason}): it had not started yet`);
      // Exit handlers stop the embedded Postgres and workers.
      process.exit(exitCode);
    }
    stoppingSince = performance.now();
    void close(berth, reason, options);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSince !== undefined && performance.now() - stoppingSince > REPEAT_MS) {
      logger[level === 'info' ? 'warn' : level](
        { stop: { reason: signal } },
        `stopping at once (second signal, ${signal}): requests in progress are cut off`,
      );
      process.exit(1);
    }
    stop(0, signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);
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
