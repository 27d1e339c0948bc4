import { createServer, type Socket } from 'node:net';
import { ChunkCounter } from './chunk-counter.js';

/**
 * Sends prepared bytes and discards request bodies: the least work of a server, to measure the generator's
 * own limit. A process of its own, like the registries.
 *
 * `GET /<n>` returns n bytes, POST a Location, PATCH and PUT respond after their content.
 */
const TYPE = 'Content-Type: application/octet-stream';
const PIECE = Buffer.alloc(1024 * 1024, 'x');
const STARTED = Buffer.from('HTTP/1.1 202 Accepted\r\nLocation: /upload\r\nContent-Length: 0\r\n\r\n');
const CREATED = Buffer.from('HTTP/1.1 201 Created\r\nLocation: /blob\r\nContent-Length: 0\r\n\r\n');
const small = new Map<number, Buffer>();

const server = createServer({ noDelay: true }, (socket) => {
  let bodyLeft = 0;
  let chunks: ChunkCounter | undefined;
  let reply = CREATED;
  let head = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    if (chunks) return countChunks(bytes, 0);
    if (bodyLeft > 0) {
      bodyLeft -= bytes.length;
      if (bodyLeft === 0) socket.write(reply);
      return;
    }
    // A client waits for each response, so the data contains at most one head.
    const end = bytes.indexOf('\r\n\r\n');
    head += bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
    if (end === -1) return;
    const request = head;
    head = '';
    if (request.startsWith('GET ')) return sendBytes(socket, Number(/^GET \/(\d+)/.exec(request)?.[1]));
    reply = request.startsWith('PUT ') ? CREATED : STARTED;
    if (/\r\ntransfer-encoding: chunked/i.test(request)) {
      chunks = new ChunkCounter();
      return countChunks(bytes, end + 4);
    }
    bodyLeft = Number(/\r\ncontent-length: (\d+)/i.exec(request)?.[1] ?? 0) - (bytes.length - end - 4);
    if (bodyLeft === 0) socket.write(reply);
  });
  const countChunks = (bytes: Buffer, from: number): void => {
    chunks?.feed(bytes, from, bytes.length);
    if (chunks?.complete !== true) return;
    chunks = undefined;
    socket.write(reply);
  };
});
server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
process.on('disconnect', () => process.exit());
process.on('SIGINT', () => undefined);

function sendBytes(socket: Socket, length: number): void {
  const head = `HTTP/1.1 200 OK\r\n${TYPE}\r\nContent-Length: ${length}\r\n\r\n`;
  if (length <= 64 * 1024) {
    let ready = small.get(length);
    if (!ready) small.set(length, (ready = Buffer.concat([Buffer.from(head), PIECE.subarray(0, length)])));
    socket.write(ready);
    return;
  }
  socket.write(head);
  let left = length;
  const send = (): void => {
    while (left > 0) {
      const piece = PIECE.subarray(0, Math.min(left, PIECE.length));
      left -= piece.length;
      if (!socket.write(piece)) return void socket.once('drain', send);
    }
  };
  send();
}
