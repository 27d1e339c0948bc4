import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import type { Configuration } from './config/configuration.js';
import { addDotEnv } from './config/dot-env.js';
import { loadConfiguration } from './config/load-configuration.js';

// Asks the Berth of this host, with the same settings, whether it is alive: the exit code is 0 or 1. A
// program of its own, for supervisors that run a command, such as Docker, in an image without curl.

const TIMEOUT_MS = 4_000;

/** What to ask if Berth listens on all addresses. */
const LOOPBACK = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/** Rejects if there is no response. */
function statusOf({ host, port, tlsMode }: Configuration): Promise<number | undefined> {
  const target = { host: LOOPBACK.get(host) ?? host, port, path: '/health/live', timeout: TIMEOUT_MS };
  return new Promise((resolve, reject) => {
    // The certificate names what clients use, not this address, and nothing secret is sent.
    const request = tlsMode === 'off' ? getHttp(target) : getHttps({ ...target, rejectUnauthorized: false });
    request.once('response', ({ statusCode }) => resolve(statusCode));
    request.once('timeout', () => request.destroy(new Error(`no response within ${TIMEOUT_MS} ms`)));
    request.once('error', reject);
  });
}

async function check(): Promise<string | undefined> {
  try {
    addDotEnv(process.env);
    const status = await statusOf(loadConfiguration(process.env));
    return status === 200 ? undefined : `the response is ${status}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const failure = await check();
if (failure !== undefined) process.stderr.write(`Berth is not alive: ${failure}\n`);
// Not when all connections are closed: the server keeps them.
process.exit(failure === undefined ? 0 : 1);
