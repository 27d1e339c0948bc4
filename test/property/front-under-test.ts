import { pino } from 'pino';
import { CleanupStack } from '../../src/boot/cleanup-stack.js';
import { serveFront } from '../../src/boot/start-front-worker.js';
import { AT_ONCE } from '../../src/boot/stop-options.js';
import { loadConfiguration } from '../../src/config/load-configuration.js';

/** A front that a test has started. */
export interface StartedFront {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts a front in this process, on a free port. */
export async function startFrontOf(
  replicas: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<StartedFront> {
  const configuration = loadConfiguration({
    ...{ ROLE: 'front', HOST: '127.0.0.1', PORT: '0', FRONT_REPLICAS: replicas.join(',') },
    ...settings,
  });
  const front = await serveFront(configuration, pino({ level: 'silent' }), new CleanupStack());
  return { url: front.url, close: () => front.close(AT_ONCE) };
}
