import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import koffi from 'koffi';

/**
 * `bare-uploads.js DIRECTORY CONNECTIONS`: the least work of a registry that stores pushes durably. A thread
 * per connection reads the socket into large buffers and hashes them; the thread pool writes and flushes.
 * There is no HTTP but lengths, no database and no directory to flush. Linux only.
 */
const [directory = '', connections = '1'] = process.argv.slice(2);

const AF_INET = 2;
const SOCK_STREAM = 1;
const ADDRESS_BYTES = 16;

const library = koffi.load(null);
const socket = library.func('int socket(int, int, int)') as unknown as (
  ...args: [number, number, number]
) => number;
const bind = library.func('int bind(int, void *, uint32_t)') as unknown as (
  ...args: [number, Buffer, number]
) => number;
const listen = library.func('int listen(int, int)') as unknown as (...args: [number, number]) => number;
const getsockname = library.func('int getsockname(int, void *, void *)') as unknown as (
  ...args: [number, Buffer, Buffer]
) => number;

function listenOnLoopback(): { fd: number; port: number } {
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  const address = Buffer.alloc(ADDRESS_BYTES);
  address.writeUInt16LE(AF_INET, 0);
  address.set([127, 0, 0, 1], 4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(ADDRESS_BYTES);
  if (bind(fd, address, ADDRESS_BYTES) !== 0 || listen(fd, 128) !== 0) throw new Error('cannot listen');
  getsockname(fd, address, length);
  return { fd, port: address.readUInt16BE(2) };
}

const { fd, port } = listenOnLoopback();
const program = new URL('./bare-upload-worker.js', import.meta.url);
const workers = Array.from(
  { length: Number(connections) },
  (_, number) => new Worker(program, { workerData: { fd, directory, number } }),
);
await Promise.all(workers.map((worker) => once(worker, 'online')));
process.send?.({ port });
// The threads are in system calls, which an exit would wait for.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('SIGINT', () => undefined);
