import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import koffi from 'koffi';

/** Accepts one connection after the other and stores what is PUT: see `bare-uploads.ts`. */
const { fd, directory, number } = workerData as { fd: number; directory: string; number: number };

const PIECE_BYTES = 2 * 1024 * 1024;
/** One is received and hashed while others are written. */
const PIECES = 3;
/** The disk writes while more arrives. */
const FLUSH_BYTES = 32 * 1024 * 1024;
const MSG_WAITALL = 0x100;
const STARTED = Buffer.from('HTTP/1.1 202 Accepted\r\nLocation: /upload\r\nContent-Length: 0\r\n\r\n');
const CREATED = Buffer.from('HTTP/1.1 201 Created\r\nLocation: /blob\r\nContent-Length: 0\r\n\r\n');

const library = koffi.load(null);
const accept = library.func('int accept(int, void *, void *)') as unknown as (
  ...args: [number, null, null]
) => number;
const recv = library.func('int64_t recv(int, void *, size_t, int)') as unknown as (
  ...args: [number, Buffer, number, number]
) => number;
const send = library.func('int64_t send(int, void *, size_t, int)') as unknown as (
  ...args: [number, Buffer, number, number]
) => number;
const close = library.func('int close(int)') as unknown as (fd: number) => number;

const pieces = Array.from({ length: PIECES }, () => Buffer.allocUnsafeSlow(PIECE_BYTES));
let files = 0;

for (;;) {
  const connection = accept(fd, null, null);
  if (connection < 0) break;
  while (await serve(connection));
  close(connection);
}

/** Returns false at the end of the connection. */
async function serve(connection: number): Promise<boolean> {
  let head = Buffer.alloc(0);
  let end = -1;
  while (end === -1) {
    const received = Buffer.allocUnsafe(4096);
    const length = recv(connection, received, received.length, 0);
    if (length <= 0) return false;
    head = Buffer.concat([head, received.subarray(0, length)]);
    end = head.indexOf('\r\n\r\n');
  }
  const text = head.toString('latin1', 0, end);
  const bodyBytes = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
  if (text.startsWith('PUT ')) await store(connection, head.subarray(end + 4), bodyBytes);
  const response = text.startsWith('PUT ') ? CREATED : STARTED;
  return send(connection, response, response.length, 0) > 0;
}

async function store(connection: number, first: Buffer, bodyBytes: number): Promise<void> {
  const file = await open(join(directory, `${number}-${(files += 1)}`), 'wx');
  const hash = createHash('sha256').update(first);
  await file.write(first);
  const writes: Promise<unknown>[] = [];
  let flush: Promise<unknown> = Promise.resolve();
  for (let at = first.length, n = 0; at < bodyBytes; n += 1) {
    const piece = pieces[n % PIECES] ?? first;
    await writes[n - PIECES];
    const wanted = Math.min(piece.length, bodyBytes - at);
    if (recv(connection, piece, wanted, MSG_WAITALL) !== wanted) throw new Error('a body ended early');
    const bytes = piece.subarray(0, wanted);
    writes.push(file.write(bytes, 0, wanted, at));
    hash.update(bytes);
    if (Math.floor((at + wanted) / FLUSH_BYTES) > Math.floor(at / FLUSH_BYTES)) {
      await flush;
      flush = file.datasync();
    }
    at += wanted;
  }
  await Promise.all([...writes, flush]);
  await file.datasync();
  await file.close();
  hash.digest();
}
