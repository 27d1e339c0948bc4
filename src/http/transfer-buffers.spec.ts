import { describe, expect, it } from '@jest/globals';
import { TransferBuffers } from './transfer-buffers.js';

const LARGE = 512 * 1024;

describe('TransferBuffers', () => {
  it('uses large buffers again', () => {
    const buffers = new TransferBuffers();
    const first = buffers.take(10 * LARGE);
    expect(first.length).toBe(LARGE);
    buffers.giveBack(first);
    expect(buffers.take(100_000)).toBe(first);
    expect(buffers.take(100_000)).not.toBe(first);
  });

  it('makes no more of them than it may, and small ones then', () => {
    const buffers = new TransferBuffers(2);
    const taken = [1, 2, 3].map(() => buffers.take(LARGE));
    expect(taken.map(({ length }) => length)).toEqual([LARGE, LARGE, 64 * 1024]);
    taken.forEach((buffer) => buffers.giveBack(buffer));
    expect([1, 2, 3].map(() => buffers.take(LARGE).length)).toEqual([LARGE, LARGE, 64 * 1024]);
  });

  it('makes another one in place of one that was abandoned', () => {
    const buffers = new TransferBuffers(1);
    const lost = buffers.take(LARGE);
    buffers.abandon(lost);
    const next = buffers.take(LARGE);
    expect(next.length).toBe(LARGE);
    expect(next).not.toBe(lost);
  });

  it('gives what is small its own size', () => {
    expect(new TransferBuffers().take(10).length).toBe(10);
  });
});
