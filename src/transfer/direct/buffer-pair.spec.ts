import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BufferPair } from './buffer-pair.js';

const newPair = (bytes: number) => new BufferPair([Buffer.alloc(bytes), Buffer.alloc(bytes)]);

/** Receives up to `wanted` bytes, as a socket does: not if the reader has to take a piece first. */
function receive(pair: BufferPair, wanted: number, from: number): number {
  const { bytes, isFree } = pair.nextRoom();
  if (!isFree) return 0;
  const count = Math.min(wanted, bytes.length);
  for (let index = 0; index < count; index += 1) bytes[index] = (from + index) % 251;
  pair.added(count);
  return count;
}

describe('BufferPair', () => {
  it('yields all bytes in their order, and changes no piece that the reader has', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.array(fc.oneof(fc.constant('take' as const), fc.integer({ min: 1, max: 20 })), { maxLength: 60 }),
        (size, steps) => {
          const pair = newPair(size);
          let received = 0;
          let taken = 0;
          let held: { readonly piece: Buffer; readonly before: Buffer } | undefined;
          for (const step of [...steps, ...Array<'take'>(3).fill('take')]) {
            if (step !== 'take') {
              received += receive(pair, step, received);
            } else {
              const piece = pair.take();
              for (const byte of piece ?? []) expect(byte).toBe(taken++ % 251);
              held = piece && { piece, before: Buffer.from(piece) };
            }
            if (held !== undefined) expect(held.piece.equals(held.before)).toBe(true);
          }
          expect(taken).toBe(received);
        },
      ),
    );
  });

  it('tells where the bytes go after a pause', () => {
    const pair = newPair(4);
    expect([receive(pair, 4, 0), receive(pair, 4, 4)]).toEqual([4, 4]);
    const announced = pair.nextRoom();
    expect(announced.isFree).toBe(false);
    pair.take();
    expect(pair.nextRoom().isFree).toBe(false);
    pair.take();
    const { bytes, isFree } = pair.nextRoom();
    expect([isFree, bytes.byteOffset, bytes.buffer === announced.bytes.buffer]).toEqual([
      true,
      announced.bytes.byteOffset,
      true,
    ]);
  });
});
