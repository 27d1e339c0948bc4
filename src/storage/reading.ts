import { addAbortSignal, type Readable } from 'node:stream';
import type { ByteSpan, IoOptions } from './storage-driver.js';
import { StorageError } from './storage.errors.js';

/**
 * Returns a span as offsets with an exclusive end; without a span, the whole object.
 *
 * @throws StorageError if the span does not lie within `sizeBytes` bytes.
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

/** Destroys the stream when the signal aborts. */
export function untilAborted(stream: Readable, { signal }: IoOptions): Readable {
  if (signal === undefined) {
    return stream;
  }
  // The signal may abort before the caller listens for errors. Without a listener that would end the process.
  // Readers and pipes that are attached later still get the error.
  stream.on('error', () => undefined);
  return addAbortSignal(signal, stream);
}

/** Destroys a stream that was opened after its caller aborted. */
export function destroyLate(stream: Readable): void {
  stream.destroy();
}
