import type { RunningBerth } from './start-berth.js';
import type { Log } from '../observability/logger.js';

/** Ctrl-C may arrive twice, because a parent forwards it too. Only a later signal ends Berth at once. */
const REPEAT_MS = 1_000;

/** Stops this process. */
export interface Stopping {
  /** Call it when Berth has started: from then on a stop closes it, and its failure ends the process. */
  started(berth: RunningBerth): void;
  /** Closes Berth and exits with code 0; `atOnce`: without waiting for requests. Idempotent. */
  stop(options?: { readonly atOnce: boolean }): void;
}

/**
 * Stops the process on SIGINT and SIGTERM, and when Berth can no longer serve. Call it before the start.
 */
export function stopOnSignal({ logger, output }: Log): Stopping {
  let berth: RunningBerth | undefined;
  let stoppingSince: number | undefined;
  let exitCode = 0;
  const stop = (code: number, options = { atOnce: false }) => {
    exitCode = Math.max(exitCode, code);
    if (stoppingSince !== undefined) return;
    // Not started yet. Exit handlers stop the embedded Postgres and workers.
    if (berth === undefined) process.exit(exitCode);
    stoppingSince = performance.now();
    void berth
      .close(options)
      .catch((error: unknown) => {
        exitCode = 1;
        logger.error({ err: error }, 'the stop failed');
      })
      .then(() => output.flush())
      .then(() => process.exit(exitCode));
  };
  const onSignal = () => {
    if (stoppingSince !== undefined && performance.now() - stoppingSince > REPEAT_MS) process.exit(1);
    stop(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);
  return {
    started: (running) => {
      berth = running;
      void running.died.then((sentence) => {
        logger.fatal(sentence);
        stop(1);
      });
    },
    stop: (options) => stop(0, options),
  };
}
