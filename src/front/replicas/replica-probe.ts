import type { IncomingMessage } from 'node:http';
import type { RemoteReplica } from './remote-replica.js';

/**
 * What a probe found. `closed`: nothing listens, so the replica has ended or is stopping. `silent`: it did
 * not respond in time, so it is frozen, or cut off. `unready`: it responds and can't serve now.
 */
export const PROBE_RESULTS = ['ready', 'unready', 'closed', 'silent'] as const;
export type ProbeResult = (typeof PROBE_RESULTS)[number];

/** The result of a probe, and what it is concluded from. */
export interface ProbeOutcome {
  readonly result: ProbeResult;
  readonly reason: string;
}

/** No file descriptor, port or memory for another connection. */
const OWN_ERRORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS']);

/**
 * Asks a replica whether it is ready, on a connection of its own. Never rejects.
 *
 * @param timeoutMs a replica that sends nothing for this long, on any connection, is `silent`.
 */
export function probe(replica: RemoteReplica, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const request = replica.open(
      { method: 'GET', target: '/health/ready', headers: { host: 'localhost', connection: 'close' } },
      { isAlone: true },
    );
    const settle = (result: ProbeResult, reason: string) => {
      clearTimeout(timer);
      request.destroy();
      resolve({ result, reason });
    };
    // A busy replica responds late, but it responds.
    const timer = setTimeout(
      () => settle(replica.heardAt > startedAt ? 'unready' : 'silent', `no response within ${timeoutMs} ms`),
      timeoutMs,
    );
    request.once('response', ({ statusCode }: IncomingMessage) => {
      replica.heard();
      settle(statusCode === 200 ? 'ready' : 'unready', `GET /health/ready: ${statusCode}`);
    });
    // An error of this machine says nothing of the replica.
    request.on('error', ({ code = '', message }: NodeJS.ErrnoException) =>
      settle(OWN_ERRORS.has(code) ? 'unready' : 'closed', message),
    );
    request.end();
  });
}
