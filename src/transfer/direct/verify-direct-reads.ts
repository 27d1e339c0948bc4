import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { BufferPool } from '../buffer-pool.js';
import { DirectBody } from './direct-body.js';
import type { DuplicateDescriptor } from './duplicate-descriptor.js';

const BODY_BYTES = 768 * 1024;
const CHUNK_BYTES = 32 * 1024;
const TIMEOUT_MS = 5_000;

/**
 * Sends a sized and a chunked body on one connection to a server on the loopback interface, and a request
 * without a body behind them, and compares what direct reads make of them. Takes some 10 ms.
 *
 * @throws Error that says what went wrong.
 */
export async function verifyDirectReads(duplicate: DuplicateDescriptor): Promise<void> {
  const body = Buffer.allocUnsafe(BODY_BYTES);
  for (let at = 0; at < BODY_BYTES; at += 4) body.writeUInt32LE(Math.imul(at, 0x9e3779b1) >>> 0, at);
  const buffers = new BufferPool();
  const server = createServer((request, response) => {
    respond(request, response, body, buffers, duplicate).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    await converse(server, body);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  expected: Buffer,
  buffers: BufferPool,
  duplicate: DuplicateDescriptor,
): Promise<void> {
  // The event is emitted in the middle of the parser's work.
  await turn();
  if (request.method === 'PUT') {
    const lengthBytes = Number(request.headers['content-length'] ?? Infinity);
    const direct = DirectBody.open(request, lengthBytes, buffers, duplicate);
    if (direct === undefined) throw new Error('the connection has no parser or descriptor');
    let at = 0;
    for await (const piece of direct) {
      if (!expected.subarray(at, at + piece.length).equals(piece)) throw new Error('other bytes');
      at += piece.length;
    }
    if (at !== expected.length) throw new Error('bytes are missing');
  }
  response.end('verified');
}

async function converse(server: Server, body: Buffer): Promise<void> {
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1' });
  const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
  const deadline = setTimeout(() => socket.destroy(), TIMEOUT_MS);
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => (received += text));
  try {
    const host = 'Host: localhost\r\n';
    socket.write(`PUT / HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
    socket.write(`PUT / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`);
    for (let at = 0; at < body.length; at += CHUNK_BYTES) {
      socket.write(`${CHUNK_BYTES.toString(16)}\r\n`);
      socket.write(body.subarray(at, at + CHUNK_BYTES));
      socket.write('\r\n');
    }
    socket.write(`0\r\n\r\nGET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
    await closed;
  } finally {
    clearTimeout(deadline);
  }
  const verified = received.match(/HTTP\/1\.1 200 /g)?.length ?? 0;
  if (verified !== 3) throw new Error(`${verified} of 3 requests were read correctly`);
}
