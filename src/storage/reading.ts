import { addAbortSignal, type Readable } from 'node:stream';
import type { ByteSpan, IoOptions } from './storage-driver.js';
import { StorageError } from './storage.errors.js';

/**
 * A span as offsets, the end exclusive; no span is all of it.
 *
 * @throws StorageError when the span does not lie within `sizeBytes` bytes.
 */
export function byteRange(sizeBytes: number, span: ByteSpan | undefined): { start: number; end: number } {
  if (span === undefined) {
    return { start: 0, end: sizeBytes };
  }
  if (!(span.start >= 0 && span.start <= span.end && span.end < sizeBytes)) {
    throw new StorageError(`bytes ${span.start}-${span.end} are not within an object of ${sizeBytes} bytes`);
  }
  return { start: span.start, end: span.end + 1 };
}

/** The signal of a read goes on to govern the stream. */
export function untilAborted(stream: Readable, { signal }: IoOptions): Readable {
  if (signal === undefined) {
    return stream;
  }
  // The abort may come before the caller has a handler on the stream, and must not end the process then. Whoever reads
  // it, or pipes it, is told of the error all the same.
  stream.on('error', () => undefined);
  return addAbortSignal(signal, stream);
}

/** What becomes of a stream that was opened after its caller had given up. */
export function destroyLate(stream: Readable): void {
  stream.destroy();
}
