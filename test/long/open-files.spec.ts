import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { eventually } from '../support/process-tree.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';

/** The fewest with which Berth starts. */
const OPEN_FILES = 1024;
/** Three files for each, beside 64 others, 16 connections that are refused and the 6 of the database. */
const CONNECTIONS = 312;

// What a process has open is read from /proc, and its limit set with prlimit.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('with a low limit of open files', () => {
  const bench = useProcessBench({ keepProcesses: true });
  const database = useTestDatabase();
  let berth: BerthProcess;
  let client: RegistryClient;
  let connections: RawConnection[] = [];

  beforeAll(async () => {
    const settings = { DATA_DIR: bench.newDataDir(), DATABASE_URL: database.url, DATABASE_POOL_SIZE: '6' };
    berth = bench.start(settings, { openFiles: OPEN_FILES });
    client = new RegistryClient(await berth.url());
    // Berth is compiled, and a database started.
  }, 180_000);
  afterEach(async () => {
    connections.forEach((connection) => connection.leave());
    connections = [];
    expect((await whenThereIsRoom('/health/ready')).status).toBe(200);
    await eventually('all to be closed', () => openFiles() < 64 || undefined);
  });

  const openFiles = () => readdirSync(`/proc/${berth.pid}/fd`).length;

  async function connected(): Promise<RawConnection> {
    const connection = await RawConnection.open(await berth.url());
    connections.push(connection);
    return connection;
  }

  /** Asks as often as it takes: the others may just have come. */
  const whenThereIsRoom = (path: string) =>
    eventually('a response', async () => {
      const response = await client.fetch(path).catch(() => undefined);
      return response?.status === 503 ? undefined : response;
    });

  it('closes idle connections to serve new ones', async () => {
    const asked = await connected();
    await asked.send(requestHead('GET', '/v2/'));
    expect((await asked.response()).status).toBe(200);
    const silent = await connected();
    for (let count = 0; count < 600; count += 1) {
      const connection = await connected();
      if (count % 2 === 0) await connection.send(requestHead('GET', '/v2/')).catch(() => undefined);
    }
    expect((await whenThereIsRoom('/v2/')).status).toBe(200);
    const name = freshName();
    const layer = 'layer'.repeat(200_000);
    const digest = await client.pushBlob(name, layer);
    await client.putManifest(name, 'latest', await client.makeImage(name, [layer]));
    const pulled = await client.fetch(`/v2/${name}/blobs/${digest}`);
    expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digest);
    expect(openFiles()).toBeLessThan(OPEN_FILES / 2);
    let isClosed = false;
    const rest = Promise.all([asked.rest(), silent.rest()]).finally(() => (isClosed = true));
    // One that is silent has to be older than those that have just come.
    await eventually('the oldest ones to make room', async () => (await connected(), isClosed || undefined));
    for (const bytes of await rest) expect(bytes).toHaveLength(0);
  });

  it('refuses connections while all are in use, and completes their requests', async () => {
    const name = freshName();
    const bodies = Array.from({ length: CONNECTIONS }, (_, index) => `the body of upload ${index}`);
    const begun = [];
    for (const body of bodies) {
      const connection = await connected();
      const path = `/v2/${name}/blobs/uploads/?digest=${digestOf(body)}`;
      await connection.send(requestHead('POST', path, [['Content-Length', body.length]]), body.slice(0, 1));
      begun.push({ connection, body });
    }
    const refused = [];
    for (let count = 0; count < 40; count += 1) {
      const connection = await connected();
      await connection.send(requestHead('GET', '/v2/')).catch(() => undefined);
      refused.push(await connection.response().catch(() => undefined));
    }
    const responses = refused.filter((response) => response !== undefined);
    expect(responses.length).toBeGreaterThan(0);
    for (const response of responses) {
      expect([
        response.status,
        response.headers.get('retry-after'),
        response.headers.get('connection'),
      ]).toEqual([503, '5', 'close']);
      const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
      expect(errors).toMatchObject([
        { code: 'UNKNOWN', message: expect.stringMatching(/^more than \d+ connections, .*ulimit -n/) },
      ]);
    }
    const probe = await connected();
    await probe.send(requestHead('GET', '/health/live'));
    expect((await probe.response()).status).toBe(200);
    for (const { connection, body } of begun) await connection.send(body.slice(1));
    for (const { connection } of begun) expect((await connection.response()).status).toBe(201);
  });

  it('returns 503 when no file can be opened, accepts nothing, and recovers', async () => {
    const name = freshName();
    const digest = await client.pushBlob(name, Buffer.alloc(1_000_000, 'layer'));
    const upload = await client.startUpload(name);
    const connection = await connected();
    const requests = [
      () => connection.send(requestHead('GET', `/v2/${name}/blobs/${digest}`)),
      () => connection.send(requestHead('PATCH', upload, [['Content-Length', 4]]), 'four'),
    ];
    await connection.send(requestHead('GET', '/v2/'));
    expect((await connection.response()).status).toBe(200);
    const limit = (most: number) =>
      execFileSync('prlimit', ['--pid', String(berth.pid), `--nofile=${most}:${OPEN_FILES}`]);
    const taken = new Set(readdirSync(`/proc/${berth.pid}/fd`).map(Number));
    let lowestFree = 0;
    while (taken.has(lowestFree)) lowestFree += 1;
    limit(lowestFree);
    for (const ask of requests) {
      await ask();
      const response = await connection.response();
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
      expect(await response.json()).toMatchObject({ errors: [{ message: 'the storage is not available' }] });
    }
    for (let count = 0; count < 50; count += 1) {
      const late = await connected();
      await late.send(requestHead('GET', '/v2/')).catch(() => undefined);
    }
    limit(OPEN_FILES);
    const statuses = [];
    for (const ask of requests) {
      await ask();
      statuses.push((await connection.response()).status);
    }
    expect(statuses).toEqual([200, 202]);
  });
});
