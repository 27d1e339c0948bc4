import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';

/**
 * Keeps connections for the next request, and gives up those that don't come about. Their number is bounded by that of
 * the requests that Berth serves at once, not here: slow readers must not keep uploads waiting for a connection.
 */
export function agentFor(endpoint: URL, connectMs: number): HttpAgent {
  const options = { keepAlive: true, maxFreeSockets: 256 };
  const agent = endpoint.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  const connected = endpoint.protocol === 'https:' ? 'secureConnect' : 'connect';
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...args: Parameters<typeof connect>): Duplex | null | undefined => {
    const socket = connect(...args);
    if (socket) limitConnecting(socket, connected, connectMs);
    return socket;
  };
  return agent;
}

function limitConnecting(socket: Duplex, connected: string, ms: number): void {
  const giveUp = (): void => {
    socket.destroy(Object.assign(new Error(`no connection within ${ms} ms`), { code: 'ETIMEDOUT' }));
  };
  const timer = setTimeout(giveUp, ms);
  const stop = (): void => clearTimeout(timer);
  socket.once(connected, stop).once('close', stop);
}
