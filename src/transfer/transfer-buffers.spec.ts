import { describe, expect, it } from '@jest/globals';
import { TransferBuffers } from './transfer-buffers.js';

const LARGE = 512 * 1024;
const SMALL = 64 * 1024;

describe('TransferBuffers', () => {
  it('uses large buffers again, for parts of them, too', () => {
    const buffers = new TransferBuffers();
    const first = buffers.take(10 * LARGE);
    expect(first.length).toBe(LARGE);
    buffers.giveBack(first);
    const part = buffers.take(100_000);
    expect(part.length).toBe(100_000);
    expect(part.buffer).toBe(first.buffer);
    expect(buffers.take(100_000).buffer).not.toBe(first.buffer);
    buffers.giveBack(part);
    const whole = buffers.take(LARGE);
    expect(whole.length).toBe(LARGE);
    expect(whole.buffer).toBe(first.buffer);
  });

  it('makes no more of them than it may, and small ones then', () => {
    const buffers = new TransferBuffers(2);
    const taken = [1, 2, 3].map(() => buffers.take(LARGE));
    expect(taken.map(({ length }) => length)).toEqual([LARGE, LARGE, SMALL]);
    taken.forEach((buffer) => buffers.giveBack(buffer));
    expect([1, 2, 3].map(() => buffers.take(LARGE).length)).toEqual([LARGE, LARGE, SMALL]);
  });

  it('makes another one in place of one that was abandoned, which nobody gets again', () => {
    const buffers = new TransferBuffers(1);
    const lost = buffers.take(LARGE);
    buffers.abandon(lost);
    buffers.giveBack(lost);
    const next = buffers.take(LARGE);
    expect(next.length).toBe(LARGE);
    expect(next.buffer).not.toBe(lost.buffer);
  });

  it('hands nothing to two takers when a buffer is given back twice', () => {
    const buffers = new TransferBuffers(2);
    const taken = buffers.take(LARGE);
    buffers.giveBack(taken);
    buffers.giveBack(taken);
    expect(buffers.take(LARGE).buffer).not.toBe(buffers.take(LARGE).buffer);
  });

  it('counts the large ones that are in use', () => {
    const buffers = new TransferBuffers();
    const [large, part, small] = [LARGE, 100_000, 10].map((size) => buffers.take(size)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    expect(buffers.largeInUse).toBe(2);
    [large, small].forEach((buffer) => buffers.giveBack(buffer));
    expect(buffers.largeInUse).toBe(1);
    buffers.abandon(part);
    expect(buffers.largeInUse).toBe(0);
  });

  it('gives what is small its own size, and small ones to whoever asks for them', () => {
    const buffers = new TransferBuffers();
    expect(buffers.take(10).length).toBe(10);
    expect(buffers.takeSmall(10).length).toBe(10);
    expect(buffers.takeSmall(LARGE).length).toBe(SMALL);
    expect(buffers.largeInUse).toBe(0);
  });
});
