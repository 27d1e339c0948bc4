import { describe, expect, it } from '@jest/globals';
import { BufferPool } from './buffer-pool.js';

const LARGE = 1024 * 1024;
const MEDIUM = 512 * 1024;
const SMALL = 64 * 1024;

/** One large and one medium buffer for uploads, one medium one for downloads. */
const FEW = [
  { bytes: LARGE, max: { receive: 1, send: 0 } },
  { bytes: MEDIUM, max: { receive: 1, send: 1 } },
];

describe('BufferPool', () => {
  it('reuses large buffers, also for smaller requests', () => {
    const buffers = new BufferPool();
    const first = buffers.acquire('receive', 10 * LARGE);
    expect(first.length).toBe(LARGE);
    buffers.release(first);
    const part = buffers.acquire('receive', MEDIUM + 1);
    expect(part.length).toBe(MEDIUM + 1);
    expect(part.buffer).toBe(first.buffer);
    expect(buffers.acquire('receive', LARGE).buffer).not.toBe(first.buffer);
    buffers.release(part);
    const whole = buffers.acquire('receive', LARGE);
    expect(whole.length).toBe(LARGE);
    expect(whole.buffer).toBe(first.buffer);
  });

  it('returns the smallest pooled buffer that has the size', () => {
    const buffers = new BufferPool();
    const taken = [SMALL + 1, MEDIUM, MEDIUM + 1].map((bytes) => buffers.acquire('receive', bytes));
    expect(taken.map(({ buffer }) => buffer.byteLength)).toEqual([MEDIUM / 2, MEDIUM, LARGE]);
  });

  it('returns smaller buffers beyond its maximum of large ones', () => {
    const buffers = new BufferPool(FEW);
    const acquire = () => [1, 2, 3].map(() => buffers.acquire('receive', LARGE));
    const taken = acquire();
    expect(taken.map(({ length }) => length)).toEqual([LARGE, MEDIUM, SMALL]);
    taken.forEach((buffer) => buffers.release(buffer));
    expect(acquire().map(({ length }) => length)).toEqual([LARGE, MEDIUM, SMALL]);
  });

  it('limits the buffers of each use apart', () => {
    const buffers = new BufferPool(FEW);
    const sent = [1, 2].map(() => buffers.acquire('send', LARGE).length);
    expect(sent).toEqual([MEDIUM, SMALL]);
    expect(buffers.acquire('receive', MEDIUM).length).toBe(MEDIUM);
  });

  it('replaces a discarded buffer and never returns it again', () => {
    const buffers = new BufferPool(FEW);
    const lost = buffers.acquire('receive', LARGE);
    buffers.discard(lost);
    buffers.release(lost);
    const next = buffers.acquire('receive', LARGE);
    expect(next.length).toBe(LARGE);
    expect(next.buffer).not.toBe(lost.buffer);
  });

  it('does not lend a buffer twice if it is released twice', () => {
    const buffers = new BufferPool();
    const taken = buffers.acquire('receive', LARGE);
    buffers.release(taken);
    buffers.release(taken);
    expect(buffers.acquire('receive', LARGE).buffer).not.toBe(buffers.acquire('receive', LARGE).buffer);
  });

  it('counts the pooled buffers in use', () => {
    const buffers = new BufferPool();
    const [large, part, small] = [LARGE, 100_000, 10].map((size) => buffers.acquire('receive', size)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    expect(buffers.pooledInUse).toBe(2);
    [large, small].forEach((buffer) => buffers.release(buffer));
    expect(buffers.pooledInUse).toBe(1);
    buffers.discard(part);
    expect(buffers.pooledInUse).toBe(0);
  });

  it('returns small buffers of the requested size, and to callers that ask for small ones', () => {
    const buffers = new BufferPool();
    expect(buffers.acquire('receive', 10).length).toBe(10);
    expect(buffers.acquireSmall(10).length).toBe(10);
    expect(buffers.acquireSmall(LARGE).length).toBe(SMALL);
    expect(buffers.pooledInUse).toBe(0);
  });
});
