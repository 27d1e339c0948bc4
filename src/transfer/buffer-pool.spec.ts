import { describe, expect, it } from '@jest/globals';
import { BufferPool } from './buffer-pool.js';

const LARGE = 512 * 1024;
const SMALL = 64 * 1024;

describe('BufferPool', () => {
  it('reuses large buffers, also for smaller requests', () => {
    const buffers = new BufferPool();
    const first = buffers.acquire('receive', 10 * LARGE);
    expect(first.length).toBe(LARGE);
    buffers.release(first);
    const part = buffers.acquire('receive', 100_000);
    expect(part.length).toBe(100_000);
    expect(part.buffer).toBe(first.buffer);
    expect(buffers.acquire('receive', 100_000).buffer).not.toBe(first.buffer);
    buffers.release(part);
    const whole = buffers.acquire('receive', LARGE);
    expect(whole.length).toBe(LARGE);
    expect(whole.buffer).toBe(first.buffer);
  });

  it('returns small buffers beyond its maximum of large ones', () => {
    const buffers = new BufferPool({ receive: 2, send: 2 });
    const taken = [1, 2, 3].map(() => buffers.acquire('receive', LARGE));
    expect(taken.map(({ length }) => length)).toEqual([LARGE, LARGE, SMALL]);
    taken.forEach((buffer) => buffers.release(buffer));
    expect([1, 2, 3].map(() => buffers.acquire('receive', LARGE).length)).toEqual([LARGE, LARGE, SMALL]);
  });

  it('limits the large buffers of each use apart', () => {
    const buffers = new BufferPool({ receive: 1, send: 1 });
    const sent = [1, 2].map(() => buffers.acquire('send', LARGE).length);
    expect(sent).toEqual([LARGE, SMALL]);
    expect(buffers.acquire('receive', LARGE).length).toBe(LARGE);
  });

  it('replaces a discarded buffer and never returns it again', () => {
    const buffers = new BufferPool({ receive: 1, send: 1 });
    const lost = buffers.acquire('receive', LARGE);
    buffers.discard(lost);
    buffers.release(lost);
    const next = buffers.acquire('receive', LARGE);
    expect(next.length).toBe(LARGE);
    expect(next.buffer).not.toBe(lost.buffer);
  });

  it('does not lend a buffer twice if it is released twice', () => {
    const buffers = new BufferPool({ receive: 2, send: 2 });
    const taken = buffers.acquire('receive', LARGE);
    buffers.release(taken);
    buffers.release(taken);
    expect(buffers.acquire('receive', LARGE).buffer).not.toBe(buffers.acquire('receive', LARGE).buffer);
  });

  it('counts the large buffers in use', () => {
    const buffers = new BufferPool();
    const [large, part, small] = [LARGE, 100_000, 10].map((size) => buffers.acquire('receive', size)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    expect(buffers.largeInUse).toBe(2);
    [large, small].forEach((buffer) => buffers.release(buffer));
    expect(buffers.largeInUse).toBe(1);
    buffers.discard(part);
    expect(buffers.largeInUse).toBe(0);
  });

  it('returns small buffers of the requested size, and to callers that ask for small ones', () => {
    const buffers = new BufferPool();
    expect(buffers.acquire('receive', 10).length).toBe(10);
    expect(buffers.acquireSmall(10).length).toBe(10);
    expect(buffers.acquireSmall(LARGE).length).toBe(SMALL);
    expect(buffers.largeInUse).toBe(0);
  });
});
