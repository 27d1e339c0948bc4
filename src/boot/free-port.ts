import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import { isHostName } from '../config/host.js';
import { describeListenFailure } from './listen-failure.js';

/**
 * Refuses a HOST that is a name without an address.
 *
 * @throws StartupError
 */
export async function refuseUnknownHost({ HOST: host = '' }: NodeJS.ProcessEnv): Promise<void> {
  if (!isHostName(host)) return;
  try {
    await lookup(host);
  } catch (cause) {
    throw new StartupError(describeListenFailure(cause, { host, port: 0 }), { cause });
  }
}

/**
 * Checks that HOST and PORT can be listened on, and returns the port: for `PORT=0`, one that is free. What is
 * listened on here is closed again, so a later `listen` may still fail.
 *
 * @throws StartupError
 */
export async function freePort({ host, port }: Pick<Configuration, 'host' | 'port'>): Promise<number> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new StartupError(describeListenFailure(cause, { host, port }), { cause });
  }
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}
