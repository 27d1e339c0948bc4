import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { OpeningStorageDriver } from '../../src/storage/driver-abilities.js';
import { StorageUnavailableError } from '../../src/storage/storage.errors.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

const SMALL = randomBytes(1000);
/** Larger than the kernel's buffers for a client that reads nothing. */
const LARGE = randomBytes(24 * 1024 * 1024);

/** The three ways in which Berth sends a blob. */
const WAYS = ['a small blob', 'an object that is held open', 'a stream'] as const;

describe('a blob whose client or storage takes longer than REQUEST_IDLE_TIMEOUT_SECONDS', () => {
  const name = freshName('slow');
  let berth: TestBerth;
  let client: RegistryClient;
  let response: ServerResponse;
  let original: Partial<OpeningStorageDriver>;
  let small: string;
  let large: string;

  beforeAll(async () => {
    berth = await startTestBerth({ REQUEST_IDLE_TIMEOUT_SECONDS: '3000' });
    client = new RegistryClient(berth.url);
    small = await client.pushBlob(name, SMALL);
    large = await client.pushBlob(name, LARGE);
    const driver = berth.driver as OpeningStorageDriver;
    original = { openObject: driver.openObject.bind(driver), abilities: driver.abilities };
    const server = berth.app.getHttpServer() as NodeJS.EventEmitter;
    server.prependListener('request', (_: IncomingMessage, asked: ServerResponse) => (response = asked));
  });
  afterEach(() => {
    delete (berth.driver as { read?: unknown }).read;
    Object.assign(berth.driver, original);
  });
  afterAll(() => berth.dispose());

  it('13. no timeout ends a layer that is still being sent', () => {
    const { requestTimeout, timeout } = berth.app.getHttpServer();
    expect({ requestTimeout, timeout }).toEqual({ requestTimeout: 0, timeout: 0 });
  });

  const streamsOnly = () =>
    Object.assign(berth.driver, { abilities: { ...berth.driver.abilities, opensObjects: false } });

  it.each(WAYS)('gets a 503 when the storage times out: %s', async (way) => {
    const digest = way === 'a small blob' ? small : large;
    const fail = () => {
      // As Node does after the timeout.
      response.emit('timeout', response.socket);
      return Promise.reject(new StorageUnavailableError('the store did not respond in time'));
    };
    if (way === 'a stream') streamsOnly();
    Object.assign(
      berth.driver,
      way === 'an object that is held open' ? { openObject: fail } : { read: fail },
    );
    const refused = await client.fetch(`/v2/${name}/blobs/${digest}`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await refused.json()).toMatchObject({ errors: [{ message: 'the storage is not available' }] });
  });

  it.each(WAYS.slice(1))('is aborted when the client reads nothing: %s', async (way) => {
    if (way === 'a stream') streamsOnly();
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('GET', `/v2/${name}/blobs/${large}`));
    await connection.some();
    expect(response.socket?.timeout).toBe(3_000_000);
    response.emit('timeout', response.socket);
    await until('the response to be aborted', () => response.closed);
    expect(response.writableFinished).toBe(false);
    expect((await connection.rest()).length).toBeLessThan(LARGE.length);
  });
});
