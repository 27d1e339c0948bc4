import { afterEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, statSync } from 'node:fs';
import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { embeddedConnectionOptions } from '../../src/embedded-postgres/connection-options.js';
import type { BerthProcess } from '../support/berth-process.js';
import { isPostgresOf, postmasterPid } from '../support/process-bench.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { mountSmallDisk, skipped, type SmallDisk } from '../support/small-disk.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const DISK_BYTES = 384 * MIB;
const RESERVE_BYTES = 96 * MIB;
const RESERVE_FILE_BYTES = 96 * MIB;
const PATIENCE_MS = 60_000;

const bench = useProcessBench();
let disk: SmallDisk | undefined;
afterEach(async () => {
  await disk?.unmount();
  disk = undefined;
});

/** A data directory on its own small disk. Without such a disk, prints why the test is skipped. */
async function smallDataDir(): Promise<string | undefined> {
  const mounted = await mountSmallDisk(DISK_BYTES, bench.newDataDir());
  if (typeof mounted === 'string') {
    skipped(mounted);
    return undefined;
  }
  disk = mounted;
  return mounted.path;
}

function start(dataDir: string): BerthProcess {
  return bench.start({ DATA_DIR: dataDir, DATABASE_RESERVE_BYTES: String(RESERVE_BYTES) });
}

async function freeBytes(dataDir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dataDir);
  return bavail * bsize;
}

/** Writes into a file until not a byte more fits. */
async function fillUp(path: string): Promise<void> {
  const zeros = Buffer.alloc(MIB);
  const endless = Readable.from(
    (function* () {
      for (;;) yield zeros;
    })(),
  );
  await pipeline(endless, createWriteStream(path)).catch((error: unknown) =>
    expect(error).toMatchObject({ code: 'ENOSPC' }),
  );
  expect(await freeBytes(join(path, '..'))).toBe(0);
}

const reserveFile = (dataDir: string) => join(dataDir, 'postgres.reserve');
const hasReserve = (dataDir: string) =>
  existsSync(reserveFile(dataDir)) && statSync(reserveFile(dataDir)).size === RESERVE_FILE_BYTES;

async function statusOf(
  client: RegistryClient,
  method: string,
  path: string,
  body?: Buffer,
): Promise<number> {
  const response = await client.fetch(path, { method, ...(body && { body: new Uint8Array(body) }) });
  await response.arrayBuffer();
  return response.status;
}

async function retag(client: RegistryClient, image: object, tag: string): Promise<Response> {
  return client.putManifest('kept', tag, image);
}

describe('a full disk with the embedded database', () => {
  it('by pushes: refuses them, and serves pulls and deletions, until there is space again', async () => {
    const dataDir = await smallDataDir();
    if (dataDir === undefined) return;
    const client = new RegistryClient(await start(dataDir).url());
    const postgres = postmasterPid(dataDir) ?? 0;
    await until('the reserve file', () => hasReserve(dataDir), PATIENCE_MS);
    const image = await client.makeImage('kept');
    expect((await retag(client, image, 'v1')).status).toBe(201);
    const begun = await client.startUpload('kept');
    const uploads: string[] = [];
    let status = 0;
    while (status !== 507 && uploads.length < 10) {
      uploads.push(await client.startUpload('kept'));
      status = await statusOf(client, 'PATCH', uploads.at(-1) ?? '', randomBytes(32 * MIB));
      expect([202, 507]).toContain(status);
    }
    expect(status).toBe(507);
    // An upload in progress ends where the reserve begins, give or take what arrives between two looks.
    expect(await freeBytes(dataDir)).toBeGreaterThan(RESERVE_BYTES / 2);

    const layer = image.layers[0]?.digest ?? '';
    const refused = await retag(client, image, 'v2');
    expect(refused.status).toBe(507);
    expect(await refused.json()).toEqual({
      errors: [
        {
          code: 'UNKNOWN',
          message: 'the disk of the database is full',
          detail: { requestId: expect.any(String) },
        },
      ],
    });
    for (const [method, path, body] of [
      ['POST', '/v2/kept/blobs/uploads/', undefined],
      ['POST', `/v2/other/blobs/uploads/?mount=${layer}&from=kept`, undefined],
      ['POST', `/v2/kept/blobs/uploads/?digest=${digestOf('x')}`, Buffer.from('x')],
      ['PATCH', begun, Buffer.from('x')],
      ['PUT', `${begun}?digest=${digestOf('x')}`, Buffer.from('x')],
    ] as const) {
      expect([method, path, await statusOf(client, method, path, body)]).toEqual([method, path, 507]);
    }
    for (const path of [
      '/v2/',
      '/v2/_catalog',
      '/v2/kept/tags/list',
      `/v2/kept/blobs/${layer}`,
      '/health/live',
    ]) {
      expect([path, await statusOf(client, 'GET', path)]).toEqual([path, 200]);
    }
    expect(await statusOf(client, 'GET', begun)).toBe(204);
    const ready = await client.fetch('/health/ready');
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({
      status: 'degraded',
      checks: { database: 'full', storage: 'ok' },
    });
    expect(await statusOf(client, 'DELETE', '/v2/kept/manifests/v1')).toBe(202);

    for (const upload of uploads) expect(await statusOf(client, 'DELETE', upload)).toBe(204);
    await until('room', async () => (await retag(client, image, 'v3')).status === 201, PATIENCE_MS);
    expect((await client.fetch('/health/ready')).status).toBe(200);
    expect(isPostgresOf(postgres, dataDir)).toBe(true);
  });

  it('to the last byte, by other programs: a start after kill -9 serves pulls and deletions', async () => {
    const dataDir = await smallDataDir();
    if (dataDir === undefined) return;
    const first = start(dataDir);
    const before = new RegistryClient(await first.url());
    const image = await before.makeImage('kept');
    for (const tag of ['v1', 'v2']) expect((await retag(before, image, tag)).status).toBe(201);
    await until('the reserve file', () => hasReserve(dataDir), PATIENCE_MS);
    await fillUp(join(dataDir, 'filler'));
    const orphan = postmasterPid(dataDir) ?? 0;
    await first.kill();
    process.kill(orphan, 'SIGKILL');
    await until('the end of Postgres', () => !isPostgresOf(orphan, dataDir), PATIENCE_MS);
    await fillUp(join(dataDir, 'more'));

    const client = new RegistryClient(await start(dataDir).url());
    expect(existsSync(reserveFile(dataDir))).toBe(false);
    expect(await statusOf(client, 'GET', '/v2/kept/manifests/v1')).toBe(200);
    expect(await statusOf(client, 'GET', `/v2/kept/blobs/${image.layers[0]?.digest ?? ''}`)).toBe(200);
    expect((await client.fetch('/health/ready')).status).toBe(200);
    expect((await retag(client, image, 'v3')).status).toBe(507);
    expect(await statusOf(client, 'DELETE', '/v2/kept/manifests/v2')).toBe(202);

    for (const name of ['filler', 'more']) await rm(join(dataDir, name));
    await until('room', async () => (await retag(client, image, 'v3')).status === 201, PATIENCE_MS);
    await until('the reserve file', () => hasReserve(dataDir), PATIENCE_MS);
  });

  it('for the log of Postgres: Berth ends with the reason, and the next start serves', async () => {
    const dataDir = await smallDataDir();
    if (dataDir === undefined) return;
    const first = start(dataDir);
    const before = new RegistryClient(await first.url());
    expect((await retag(before, await before.makeImage('kept'), 'v1')).status).toBe(201);
    await until('the reserve file', () => hasReserve(dataDir), PATIENCE_MS);
    await fillUp(join(dataDir, 'filler'));
    await writeLogUntilPanic(dataDir);
    const { code, stdout } = await first.ended(PATIENCE_MS);
    expect(code).toBe(1);
    expect(stdout).toMatch(/PostgreSQL ended unexpectedly: .*No space left on device.*; free some space on/);
    await fillUp(join(dataDir, 'more'));

    const client = new RegistryClient(await start(dataDir).url());
    expect(await statusOf(client, 'GET', '/v2/kept/manifests/v1')).toBe(200);
    expect(await statusOf(client, 'POST', '/v2/kept/blobs/uploads/')).toBe(507);
  });
});

/** Each switch begins a new segment, for which there is no space. */
async function writeLogUntilPanic(dataDir: string): Promise<void> {
  const client = new pg.Client({ ...embeddedConnectionOptions(join(dataDir, 'postgres')) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    for (let count = 0; count < 20; count += 1) {
      await client.query('SELECT pg_logical_emit_message(true, $1, $2)', ['test', 'x']);
      await client.query('SELECT pg_switch_wal()');
    }
  } catch {
    return;
  } finally {
    await client.end().catch(() => undefined);
  }
  throw new Error('Postgres wrote its log to a full disk');
}
