import type { Serving } from './start-berth.js';
import type { Log } from '../observability/logger.js';

/** Ctrl-C reaches a process twice when its parent passes it on as well: only a later one is impatience. */
const IMPATIENCE_MS = 1_000;

/** How this process ends. */
export interface Stopping {
  /** To be told what was started: from then on there is something to stop in order, and it may die. */
  serving(serving: Serving): void;
  /** Ends in order with exit code 0; `atOnce`: without letting requests finish. Asking again changes nothing. */
  stop(options?: { readonly atOnce: boolean }): void;
}

/**
 * Ends the process in order on SIGINT and SIGTERM, from the call on, and when what it serves has died. To be called
 * before the start.
 */
export function stopOnSignal({ logger, output }: Log): Stopping {
  let serving: Serving | undefined;
  let stoppingSince: number | undefined;
  let exitCode = 0;
  const stop = (code: number, options = { atOnce: false }) => {
    exitCode = Math.max(exitCode, code);
    if (stoppingSince !== undefined) return;
    // Nobody was served yet. The embedded Postgres, and workers, are told to stop on the way out.
    if (serving === undefined) process.exit(exitCode);
    stoppingSince = performance.now();
    void serving
      .close(options)
      .catch((error: unknown) => {
        exitCode = 1;
        logger.error({ err: error }, 'Berth could not stop in order');
      })
      .then(() => output.flush())
      .then(() => process.exit(exitCode));
  };
  const onSignal = () => {
    if (stoppingSince !== undefined && performance.now() - stoppingSince > IMPATIENCE_MS) process.exit(1);
    stop(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);
  return {
    serving: (started) => {
      serving = started;
      void started.died.then((sentence) => {
        logger.fatal(sentence);
        stop(1);
      });
    },
    stop: (options) => stop(0, options),
  };
}
