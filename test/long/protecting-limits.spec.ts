import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { SlowRequest } from '../support/slow-request.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const IDLE_CONNECTIONS = 2_000;
const OPEN_SESSIONS = 10_000;
const MAX_BODIES = 200;
/** Leaves places for the pushes. */
const SLOW_BODIES = 180;
const MORE_BODIES = 100;
const PUSHES = 20;
/** What a process may need besides: 128 KiB for each slow body, 20 KiB for each connection. */
const MAX_GROWTH_BYTES = 150 * MIB;
const FLOODED = 'flood/sessions';

describe('a flood of connections, sessions and slow bodies', () => {
  let berth: OwnBerth;
  let client: RegistryClient;
  const sockets: Socket[] = [];
  const slow: SlowRequest[] = [];

  beforeAll(async () => {
    berth = await OwnBerth.start({ UPLOAD_MAX_BODIES: String(MAX_BODIES), LOG_LEVEL: 'warn' });
    client = new RegistryClient(berth.url);
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    for (const request of slow) request.leave();
    await berth.dispose();
  });

  async function push(count: number): Promise<number> {
    const begun = performance.now();
    for (let n = 0; n < count; n += 1) {
      const name = `beside/image-${n}`;
      const image = await client.makeImage(name, [randomBytes(MIB).toString('hex')]);
      expect((await client.putManifest(name, 'latest', image)).status).toBe(201);
    }
    return (performance.now() - begun) / count;
  }

  /** As `count` clients that keep a connection which they do not use. */
  async function connectIdle(count: number): Promise<void> {
    const { hostname, port } = new URL(berth.url);
    for (let n = 0; n < count; n += 1) {
      const socket = connect(Number(port), hostname).on('error', () => undefined);
      sockets.push(socket);
      await new Promise((resolve) => socket.once('connect', resolve));
    }
  }

  /** Copies of one session: ten thousand requests would take a minute. */
  async function openSessions(count: number): Promise<void> {
    await client.startUpload(FLOODED);
    await berth.query(
      `INSERT INTO uploads (id, repository, midstates, driver_state)
       SELECT gen_random_uuid(), repository, midstates, driver_state
         FROM uploads, generate_series(2, $1) WHERE repository = $2`,
      [count, FLOODED],
    );
  }

  /** Begins uploads, sends a part of each, and then nothing. Returns the statuses that arrive, as they do. */
  async function sendSlowly(count: number): Promise<(number | undefined)[]> {
    const statuses: (number | undefined)[] = [];
    for (let n = 0; n < count; n += 1) {
      const url = new URL(await client.startUpload(`flood/bodies-${n}`), berth.url);
      const request = new SlowRequest('PATCH', url, { 'Content-Length': String(1024 * MIB) });
      slow.push(request);
      void request.status.then((status) => statuses.push(status));
      await request.send(randomBytes(64 * 1024));
    }
    return statuses;
  }

  it('leaves pushes beside it working, and memory bounded', async () => {
    const aloneMs = await push(PUSHES);
    const before = berth.residentBytes();
    await connectIdle(IDLE_CONNECTIONS);
    await openSessions(OPEN_SESSIONS);
    const held = await sendSlowly(SLOW_BODIES);
    const full = await client.fetch(`/v2/${FLOODED}/blobs/uploads/`, { method: 'POST' });
    expect(full.status).toBe(429);
    const besideMs = await push(PUSHES);
    expect(held).toEqual([]);

    const more = await sendSlowly(MORE_BODIES);
    const beyond = SLOW_BODIES + MORE_BODIES - MAX_BODIES;
    await until('refusals beyond the limit', () => more.length >= beyond);
    expect([held, more]).toEqual([[], Array(beyond).fill(503)]);
    const grown = berth.residentBytes() - before;
    console.log(
      `${IDLE_CONNECTIONS} idle connections, ${OPEN_SESSIONS} open sessions, ${SLOW_BODIES} slow bodies: ` +
        `a push takes ${besideMs.toFixed(0)} ms (alone ` +
        `${aloneMs.toFixed(0)} ms). With ${MAX_BODIES} slow bodies and ${beyond} refused, the process had ` +
        `${(grown / MIB).toFixed(0)} MiB more`,
    );
    expect(grown).toBeLessThan(MAX_GROWTH_BYTES);
    expect((await client.fetch('/health/ready')).status).toBe(200);
    for (const request of slow) request.leave();
    await until('a place', async () => {
      const location = await client.startUpload('beside/last');
      return (await client.fetch(location, { method: 'PATCH', body: 'bytes' })).status === 202;
    });
  }, 240_000);
});
