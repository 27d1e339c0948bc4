import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { breakOffSlowReader } from './slow-reader.js';

const WINDOW_MS = 60_000;
const MIN_BYTES_PER_SECOND = 1024;

/** A response as far as it is looked at: what was written, and how much of that the kernel has taken. */
class FakeResponse extends EventEmitter {
  closed = false;
  written = 0;
  taken = 0;
  /** Of a write the kernel tells only when it has taken all of it. */
  known = 0;

  get writableLength(): number {
    return this.written - this.known;
  }

  readonly socket = ((response: FakeResponse) => ({
    get bytesWritten() {
      return response.written;
    },
    get writableLength() {
      return response.writableLength;
    },
  }))(this);

  setTimeout(): void {}

  destroy(): void {
    this.closed = true;
    this.emit('close');
  }
}

describe('breakOffSlowReader', () => {
  let response: FakeResponse;
  beforeEach(() => {
    jest.useFakeTimers();
    response = new FakeResponse();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const watch = (minBytesPerSecond = MIN_BYTES_PER_SECOND) =>
    breakOffSlowReader(response as unknown as ServerResponse, WINDOW_MS, minBytesPerSecond);

  /** Writes in pieces, a new one when the last was taken, to a client that takes so much a second. */
  function send(seconds: number, bytesPerSecond: number, pieceBytes = 64 * 1024): void {
    for (let second = 0; second < seconds && !response.closed; second += 1) {
      if (response.written === response.known) response.written += pieceBytes;
      response.taken = Math.min(response.taken + bytesPerSecond, response.written);
      if (response.taken === response.written) response.known = response.written;
      if (response.known === response.written) response.written += pieceBytes;
      jest.advanceTimersByTime(1_000);
    }
  }

  it('breaks off a client that takes less than the minimum', () => {
    watch();
    send(600, 100);
    expect(response.closed).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([64 * 1024, 512 * 1024])('goes on with one that takes a little more, in pieces of %i', (piece) => {
    watch();
    send(3_600, 1_200, piece);
    expect(response.closed).toBe(false);
  });

  it('breaks off one that becomes slow', () => {
    watch();
    send(300, 100_000);
    expect(response.closed).toBe(false);
    send(600, 1);
    expect(response.closed).toBe(true);
  });

  it('waits for a storage that gives nothing', () => {
    watch();
    send(100, 100_000);
    response.known = response.taken = response.written;
    jest.advanceTimersByTime(3_600_000);
    expect(response.closed).toBe(false);
  });

  it('has no minimum where that is 0', () => {
    watch(0);
    send(3_600, 1);
    expect(response.closed).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });
});
