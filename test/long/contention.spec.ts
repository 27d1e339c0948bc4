import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { BerthProcess } from '../support/berth-process.js';
import { requestHead } from '../support/raw-http.js';
import { digestOf, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import type { TestDatabase } from '../support/test-postgres.js';

const CLIENTS = 12;
const ROUNDS = 2;
const PUSHES_BEFORE_FREEZE = 60;
const FROZEN_MS = 2_000;
/** What one connection may pipeline, on many. */
const LISTS = { connections: 30, pipelined: 8 };
const LISTS_MS = 5_000;
/** Far above what a loaded machine takes, and far below the 10 s and the minute that these used to cost. */
const STALL_MS = 4_000;

/** Sends requests one after another until it is stopped, and remembers how they went. */
class Load {
  readonly statuses = new Map<number, number>();
  longestMs = 0;
  done = 0;
  private readonly running: Promise<unknown>;
  private isStopped = false;

  constructor(clients: number, send: (n: number) => Promise<Response>) {
    this.running = Promise.all(Array.from({ length: clients }, (_, client) => this.work(client, send)));
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.running;
  }

  get summary(): string {
    const statuses = [...this.statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
    return `${statuses}; longest ${Math.round(this.longestMs)} ms`;
  }

  private async work(client: number, send: (n: number) => Promise<Response>): Promise<void> {
    for (let n = client; !this.isStopped; n += 1) {
      const began = performance.now();
      // Requests to the frozen server fail when its process ends.
      const response = await send(n).catch(() => undefined);
      await response?.arrayBuffer().catch(() => undefined);
      if (response === undefined) return;
      this.longestMs = Math.max(this.longestMs, performance.now() - began);
      this.statuses.set(response.status, (this.statuses.get(response.status) ?? 0) + 1);
      this.done += 1;
    }
  }
}

describe('a Berth with much to do', () => {
  const bench = useProcessBench({ keepProcesses: true });
  const database = useTestDatabase();
  let frozen: BerthProcess;
  let at: { frozen: RegistryClient; other: RegistryClient };
  let images: string[];
  const subject = digestOf('the subject of many');

  beforeAll(async () => {
    const shared = { DATABASE_URL: database.url, STORAGE_FILESYSTEM_ROOT: `${bench.newDataDir()}/storage` };
    const start = () => bench.start({ ...shared, DATA_DIR: bench.newDataDir() });
    frozen = start();
    at = {
      frozen: new RegistryClient(await frozen.url()),
      other: new RegistryClient(await start().url()),
    };
    images = await Promise.all(
      Array.from({ length: 20 }, async (_, version) =>
        JSON.stringify(
          await at.other.makeImage('hot/tag', ['l'], { annotations: { version: `${version}` } }),
        ),
      ),
    );
    const image = await at.other.makeImage('another/repository');
    await at.other.putManifest('another/repository', 'latest', image);
    await seedReferrers(database, subject);
  }, 120_000);

  const others = () => ({
    pulls: new Load(4, () => at.other.fetch('/v2/another/repository/manifests/latest')),
    ready: new Load(1, () => at.other.fetch('/health/ready')),
  });
  const expectServed = async ({ pulls, ready }: ReturnType<typeof others>, told: string) => {
    await Promise.all([pulls.stop(), ready.stop()]);
    console.log(`${told}\npulls: ${pulls.summary}\nready: ${ready.summary}`);
    expect([...pulls.statuses.keys()]).toEqual([200]);
    expect([...ready.statuses.keys()]).toEqual([200]);
    expect(pulls.done).toBeGreaterThan(10);
    expect(pulls.longestMs).toBeLessThan(STALL_MS);
  };

  // Clients push one tag at a replica, which is stopped in the middle, and others the same tag at this one.
  it('pulls, pushes and is ready while another one is frozen in the middle of pushes', async () => {
    const push = (client: RegistryClient) =>
      new Load(CLIENTS, (n) => client.putManifest('hot/tag', 'latest', String(images[n % images.length])));
    for (let round = 0; round < ROUNDS; round += 1) {
      const atFrozen = push(at.frozen);
      while (atFrozen.done < PUSHES_BEFORE_FREEZE) await delay(5);
      frozen.signal('SIGSTOP');
      const pushes = push(at.other);
      const served = others();
      await delay(FROZEN_MS);
      await pushes.stop();
      await expectServed(served, `frozen: round ${round}\npushes of the tag: ${pushes.summary}`);
      frozen.signal('SIGCONT');
      await atFrozen.stop();
      expect([...pushes.statuses.keys()]).toEqual([201]);
      expect(pushes.done).toBeGreaterThan(10);
    }
  }, 180_000);

  it('pulls and is ready while it is asked for many long lists', async () => {
    const { hostname, port } = new URL(at.other.url);
    const list = requestHead('GET', `/v2/many/referrers/referrers/${subject}`);
    const sockets = Array.from({ length: LISTS.connections }, () => {
      const socket = connect(Number(port), hostname).resume();
      socket.on('error', () => undefined);
      socket.write(list.repeat(LISTS.pipelined));
      return socket;
    });
    const served = others();
    await delay(LISTS_MS);
    await expectServed(served, `${LISTS.connections} × ${LISTS.pipelined} lists of referrers`);
    for (const socket of sockets) socket.destroy();
  }, 60_000);
});

/** A thousand manifests whose annotations fill a page of referrers: 4 MiB. */
async function seedReferrers({ connection }: TestDatabase, subject: string): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  await client.query(`INSERT INTO repositories (name) VALUES ('many/referrers')`);
  await client.query(
    `INSERT INTO manifests (repository_id, digest, media_type, subject_digest, annotations,
                            content, size_bytes)
     SELECT r.id, 'sha256:' || encode(sha256(n::text::bytea), 'hex'), $2, $1,
            json_build_object('a', repeat(md5(n::text), 128)), 'x', 1
       FROM repositories r, generate_series(1, 1000) AS n WHERE r.name = 'many/referrers'`,
    [subject, OCI_MANIFEST],
  );
  await client.end();
}
