import 'reflect-metadata';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { S3Settings } from '../../../config/s3.settings.js';
import { StorageUnavailableError } from '../../storage.errors.js';
import { S3ObjectStore } from './s3-object.store.js';
import type { S3Options } from './s3.options.js';

const body = { bytes: Buffer.from('hello'), md5: createHash('md5').update('hello').digest('base64') };

describe('the connections to S3', () => {
  let serve: (request: IncomingMessage, response: ServerResponse) => void;
  let server: Server;
  let stores: S3ObjectStore[];

  beforeEach(async () => {
    stores = [];
    server = createServer((request, response) => {
      request.resume().once('end', () => serve(request, response));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    for (const store of stores) store.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function open(options: Partial<S3Options> = {}): S3ObjectStore {
    const settings = Object.assign(new S3Settings(), {
      storageS3Bucket: 'blobs',
      storageS3Endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      storageS3AccessKeyId: 'key',
      storageS3SecretAccessKey: 'secret',
    });
    const store = new S3ObjectStore(settings, options);
    stores.push(store);
    return store;
  }

  it('are not used up by slow readers', async () => {
    serve = ({ method }, response) => {
      if (method !== 'GET') {
        response.end();
        return;
      }
      response.writeHead(206, { 'content-length': 1_000_000, 'content-range': 'bytes 0-999999/1000000' });
      response.write('the first bytes');
    };
    const store = open({ attempts: 1, connectMs: 60_000 });
    const span = { start: 0, end: 999_999 };
    const readers = await Promise.all(Array.from({ length: 300 }, () => store.get('a', span, {})));
    try {
      await store.put('b', body, {});
    } finally {
      for (const reader of readers) reader.on('error', () => undefined).destroy();
    }
  });

  it('that hang leave time for another one', async () => {
    let requests = 0;
    serve = (_, response) => {
      requests += 1;
      if (requests > 1) response.writeHead(200, { 'content-length': 5 }).end();
    };
    const found = await open({ callMs: 6000 }).head('a', {});
    expect(found?.sizeBytes).toBe(5);
    expect(requests).toBe(2);
  });

  it('that all hang are aborted at the deadline', async () => {
    let requests = 0;
    serve = () => void (requests += 1);
    await expect(open({ callMs: 3000 }).head('a', {})).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(requests).toBeGreaterThan(1);
  });
});
