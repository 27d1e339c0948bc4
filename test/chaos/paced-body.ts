import { setTimeout as delay } from 'node:timers/promises';
import type { UploadPlan } from './upload-plan.js';

const SMALLEST_PIECE = 16 * 1024;
const LARGEST_PIECE = 256 * 1024;
const PIECES = 40;
const TRICKLED_BYTES = 8;
const TRICKLE_MS = 250;

export interface PacedBodyOptions {
  readonly trickles: boolean;
  /** Called with the end of each piece before it is sent. */
  readonly onPiece: (end: number) => void;
}

/** The bytes of a plan from `start` to `end` in pieces, as fast as its client would send them. */
export async function* pacedBody(
  { content, sendingMs, random }: UploadPlan,
  start: number,
  end: number,
  { trickles, onPiece }: PacedBodyOptions,
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
  const trickleFrom = trickles ? random.int(start, Math.max(start, end - TRICKLED_BYTES)) : Infinity;
  let trickled = 0;
  while (at < end) {
    if (at >= trickleFrom && trickled < TRICKLED_BYTES) {
      trickled += 1;
      yield piece(1);
      await delay(TRICKLE_MS);
    } else {
      yield piece(pieceBytes);
      if (at < end) await delay(pauseMs);
    }
  }
}
