import type { Logger } from 'pino';
import type { Berth } from './app.setup.js';

/** Ctrl-C reaches a process twice when its parent passes it on as well: only a later one is impatience. */
const IMPATIENCE_MS = 1_000;

/**
 * Ends the process in order on SIGINT and SIGTERM, from the call on, and when the embedded Postgres is gone. To be
 * called before the start, and what it answers once the registry serves.
 */
export function stopOnSignal(logger: Logger): (berth: Berth) => void {
  let serving: Berth | undefined;
  let stoppingSince: number | undefined;
  const stop = (exitCode: number) => {
    // Nobody was served yet. The embedded Postgres is told to stop on the way out.
    if (serving === undefined) process.exit(exitCode);
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince > IMPATIENCE_MS) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    serving.close().then(
      () => process.exit(exitCode),
      (error: unknown) => {
        logger.error({ err: error }, 'Berth could not stop in order');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(0));
  return (berth) => {
    serving = berth;
    void berth.database.died.then((sentence) => {
      logger.fatal(sentence);
      stop(1);
    });
  };
}
