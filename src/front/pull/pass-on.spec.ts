import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { BufferPool } from '../../transfer/buffer-pool.js';
import { DivertibleAgent } from '../replicas/divertible-connection.js';
import { passOn } from './pass-on.js';

const MIB = 1024 * 1024;
/** More than the kernel keeps for a client that does not read. */
const CONTENT = randomBytes(32 * MIB);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

interface Outcome {
  readonly isComplete: boolean;
  readonly bytes: number;
  readonly blocked: readonly boolean[];
}

const servers: Server[] = [];
const agents: DivertibleAgent[] = [];
afterEach(() => {
  for (const agent of agents.splice(0)) agent.destroy();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A server that passes on the responses of `origin`. */
async function passingOn(origin: number, length: number) {
  const pool = new BufferPool();
  const agent = new DivertibleAgent({ keepAlive: true });
  agents.push(agent);
  const outcomes: Outcome[] = [];
  let isBlocked = false;
  const port = await listen((_, response) => {
    get({ port: origin, host: '127.0.0.1', agent }, (message) => {
      message.on('error', () => undefined);
      let bytes = 0;
      const blocked: boolean[] = [];
      response.writeHead(200, { 'Content-Length': length });
      void passOn(message, response, length, pool, {
        onBytes: (count) => (bytes += count),
        onBlocked: (is) => blocked.push((isBlocked = is)),
      }).then((isComplete) => {
        outcomes.push({ isComplete, bytes, blocked });
        if (isComplete) response.end();
        else response.destroy();
      });
    });
  });
  const outcome = async (): Promise<Outcome> => {
    while (outcomes.length === 0) await turn();
    return outcomes.shift() as Outcome;
  };
  return { port, pool, outcome, isBlocked: () => isBlocked };
}

function fetched(port: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1' }, resolve).on('error', reject);
  });
}

async function all(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  message.on('error', () => undefined);
  message.on('data', (part: Buffer) => parts.push(part));
  // Not `once`: it rejects if the message breaks off.
  await new Promise((resolve) => message.once('close', resolve));
  return Buffer.concat(parts);
}

const serving = (bytes: number) => (_: IncomingMessage, response: ServerResponse) =>
  void response.writeHead(200, { 'Content-Length': bytes }).end(CONTENT.subarray(0, bytes));

describe('passOn', () => {
  it.each([0, 1, 100_000, 700_000, 32 * MIB])('passes %i bytes on, twice', async (bytes) => {
    const { port, pool, outcome } = await passingOn(await listen(serving(bytes)), bytes);
    for (const _ of [1, 2]) {
      expect(sha256(await all(await fetched(port)))).toBe(sha256(CONTENT.subarray(0, bytes)));
      expect(await outcome()).toMatchObject({ isComplete: true, bytes });
    }
    expect(pool.pooledInUse).toBe(0);
  });

  it('waits for a client that does not read', async () => {
    const { port, pool, outcome, isBlocked } = await passingOn(await listen(serving(32 * MIB)), 32 * MIB);
    const message = await fetched(port);
    while (!isBlocked()) await turn();
    // The body goes through large buffers.
    expect(pool.pooledInUse).toBe(2);
    expect(sha256(await all(message))).toBe(sha256(CONTENT));
    const { isComplete, blocked } = await outcome();
    expect(isComplete).toBe(true);
    expect(blocked.filter(Boolean)).toHaveLength(blocked.length / 2);
    expect(pool.pooledInUse).toBe(0);
  });

  it.each([100_000, 3 * MIB])('says that the answer broke off after %i bytes', async (bytes) => {
    const origin = await listen((_, response) => {
      response.writeHead(200, { 'Content-Length': 8 * MIB });
      response.write(CONTENT.subarray(0, bytes), () => response.destroy());
    });
    const { port, pool, outcome } = await passingOn(origin, 8 * MIB);
    const received = await all(await fetched(port));
    const { isComplete, bytes: passed } = await outcome();
    expect([isComplete, passed <= bytes]).toEqual([false, true]);
    expect(received.equals(CONTENT.subarray(0, received.length))).toBe(true);
    expect(pool.pooledInUse).toBe(0);
  });

  it('stops when the client has disconnected', async () => {
    const { port, pool, outcome } = await passingOn(await listen(serving(32 * MIB)), 32 * MIB);
    (await fetched(port)).destroy();
    expect((await outcome()).isComplete).toBe(false);
    expect(pool.pooledInUse).toBe(0);
  });
});
