import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { BufferPool } from '../../src/transfer/buffer-pool.js';
import { countOpenFilesBelow } from '../support/open-files.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';
import { HeldObjects } from './support/held-objects.js';

describe('readers that disconnect in the middle of a blob', () => {
  /** Larger than the kernel's buffers for a client that reads nothing. */
  const LAYER = randomBytes(24 * 1024 * 1024);
  const name = freshName('leaving');
  let berth: TestBerth;
  let client: RegistryClient;
  let held: HeldObjects;
  let buffers: BufferPool;
  let get: string;

  beforeAll(async () => {
    berth = await startTestBerth({ LOG_LEVEL: 'info' });
    client = new RegistryClient(berth.url);
    held = new HeldObjects(berth.driver);
    buffers = berth.app.get(BufferPool, { strict: false });
    get = requestHead('GET', `/v2/${name}/blobs/${await client.pushBlob(name, LAYER)}`);
  });
  beforeEach(() => {
    berth.forgetLog();
  });
  afterAll(() => berth.dispose());

  /** Waits until no object is open and each request is logged. */
  async function expectReleased(requests: number): Promise<void> {
    const aborted = () => berth.log().filter(({ msg }) => msg === 'request aborted');
    await until('the objects to be released', () => held.now === 0);
    await until('the lines', () => aborted().length === requests);
    expect(buffers.pooledInUse).toBe(0);
    expect(await countOpenFilesBelow(join(berth.dataDir, 'storage/blobs'))).toBe(0);
    expect(aborted().map(({ clientAddress }) => clientAddress)).toEqual(Array(requests).fill('127.0.0.1'));
  }

  it('releases the resources of pipelined requests', async () => {
    for (let round = 0; round < 3; round += 1) {
      berth.forgetLog();
      const connection = await RawConnection.open(berth.url);
      await connection.send(get.repeat(8));
      await until('the object', () => held.now === 1);
      await until('buffers', () => buffers.pooledInUse >= 1);
      connection.leave();
      // The other requests never started.
      await expectReleased(1);
    }
  });

  it('releases the resources of a connection that it closes', async () => {
    const connection = await RawConnection.open(berth.url);
    await connection.send(get.repeat(8));
    await until('the object', () => held.now === 1);
    // One request too many, which is not read.
    await connection.send(get);
    await expectReleased(1);
    connection.leave();
  });

  it('releases the resources of many readers, and serves the next one', async () => {
    const connections = await Promise.all(Array.from({ length: 30 }, () => RawConnection.open(berth.url)));
    await Promise.all(connections.map((connection) => connection.send(get)));
    await until('thirty objects', () => held.now === 30);
    connections.forEach((connection) => connection.leave());
    await expectReleased(30);
    const digest = digestOf(LAYER);
    expect(digestOf(await client.blob(name, digest))).toBe(digest);
    await until('the object to be released', () => held.now === 0);
    expect(buffers.pooledInUse).toBe(0);
  });
});
