import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from '@jest/globals';
import { StorageUnavailableError } from '../../storage.errors.js';
import { GcsBody } from './gcs-body.js';

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function answered(serve: (response: ServerResponse) => void): Promise<IncomingMessage> {
  const listening = createServer((_, response) => serve(response));
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as AddressInfo;
  return new Promise((resolve, reject) => get(`http://127.0.0.1:${port}`, resolve).once('error', reject));
}

describe('the bytes of an answer', () => {
  it('are passed on', async () => {
    const answer = await answered((response) => response.end('content'));
    expect((await buffer(new GcsBody(answer, 7, 5000))).toString()).toBe('content');
  });

  it.each([
    ['too few', 'conten'],
    ['too many', 'contents'],
  ])('fail when they are %s, though the answer is whole', async (_, content) => {
    const answer = await answered((response) => response.end(content));
    await expect(buffer(new GcsBody(answer, 7, 5000))).rejects.toBeInstanceOf(StorageUnavailableError);
  });

  it('fail when the connection breaks, also when nobody reads yet', async () => {
    const answer = await answered((response) => {
      response.writeHead(200, { 'content-length': 7 });
      response.write('con', () => response.destroy());
    });
    const body = new GcsBody(answer, 7, 5000);
    await new Promise((resolve) => answer.once('close', resolve));
    await expect(buffer(body)).rejects.toBeInstanceOf(StorageUnavailableError);
  });

  it('fail when nothing comes for too long', async () => {
    const answer = await answered((response) => {
      response.writeHead(200, { 'content-length': 7 });
      response.write('con');
    });
    const body = new GcsBody(answer, 7, 50);
    await expect(buffer(body)).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(answer.destroyed).toBe(true);
  });
});
