import { setTimeout as delay } from 'node:timers/promises';
import type { UploadPlan } from './upload-plan.js';

const SMALLEST_PIECE = 16 * 1024;
const LARGEST_PIECE = 256 * 1024;
const PIECES = 40;
const SLOW_BYTES = 8;
const SLOW_BYTE_MS = 250;

export interface PacedBodyOptions {
  readonly sendsSlowly: boolean;
  /** Called with the end of each piece before it is sent. */
  readonly onPiece: (end: number) => void;
}

/** The bytes of a plan from `start` to `end` in pieces, at the speed of its client. */
export async function* pacedBody(
  { content, sendingMs, random }: UploadPlan,
  start: number,
  end: number,
  { sendsSlowly, onPiece }: PacedBodyOptions,
): AsyncGenerator<Buffer, void> {
  const pieceBytes = Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, Math.ceil(content.sizeBytes / PIECES)));
  const pauseMs = (sendingMs * pieceBytes) / Math.max(content.sizeBytes, pieceBytes);
  let at = start;
  const piece = (length: number) => {
    const from = at;
    at = Math.min(end, at + length);
    onPiece(at);
    return content.bytes(from, at);
  };
  const slowFrom = sendsSlowly ? random.int(start, Math.max(start, end - SLOW_BYTES)) : Infinity;
  let slowBytes = 0;
  while (at < end) {
    if (at >= slowFrom && slowBytes < SLOW_BYTES) {
      slowBytes += 1;
      yield piece(1);
      await delay(SLOW_BYTE_MS);
    } else {
      yield piece(pieceBytes);
      if (at < end) await delay(pauseMs);
    }
  }
}
