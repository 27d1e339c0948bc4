import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { GcsTransfer } from './gcs-transfer.js';

describe('the connections of a transfer', () => {
  let server: Server;
  let transfer: GcsTransfer;

  beforeEach(async () => {
    server = createServer((request, response) => {
      request.resume().once('end', () => {
        if (request.method !== 'GET') return void response.end('{}');
        response.writeHead(206, { 'content-length': 1_000_000, 'content-range': 'bytes 0-999999/1000000' });
        response.write('the first bytes');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const authorize = (): Promise<Record<string, string>> => Promise.resolve({});
    transfer = new GcsTransfer({ endpoint, bucket: 'blobs', idleMs: 5000, authorize });
  });
  afterEach(async () => {
    transfer.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('are not used up by slow readers', async () => {
    const { signal } = new AbortController();
    const span = { start: 0, end: 999_999 };
    const readers = await Promise.all(
      Array.from({ length: 300 }, () => transfer.download('a', span, signal)),
    );
    try {
      await transfer.upload('b', { bytes: Buffer.of(), md5: '1B2M2Y8AsgTpgAmY7PhCfg==' }, signal);
    } finally {
      for (const reader of readers) reader.on('error', () => undefined).destroy();
    }
    expect(readers).toHaveLength(300);
  }, 5000);
});
