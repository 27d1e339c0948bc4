import type { Logger } from 'pino';
import type { Berth } from './app.setup.js';

/** Ctrl-C reaches a process twice when its parent passes it on as well: only a later one is impatience. */
const IMPATIENCE_MS = 1_000;

/** Ends the process in order on SIGINT and SIGTERM, and when the embedded Postgres is gone. */
export function stopOnSignal(berth: Berth, logger: Logger): void {
  let stoppingSince: number | undefined;
  const stop = (exitCode: number) => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince > IMPATIENCE_MS) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    berth.close().then(
      () => process.exit(exitCode),
      (error: unknown) => {
        logger.error({ err: error }, 'Berth could not stop in order');
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', () => stop(0));
  process.on('SIGTERM', () => stop(0));
  void berth.database.died.then((sentence) => {
    logger.fatal(sentence);
    stop(1);
  });
}
