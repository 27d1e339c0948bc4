import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { abortSlowReader } from './slow-reader.js';

const WINDOW_MS = 60_000;
const MIN_BYTES_PER_SECOND = 1024;

/** The parts of a response that are checked: bytes written, and bytes that the kernel sent. */
class FakeResponse extends EventEmitter {
  closed = false;
  written = 0;
  taken = 0;
  /** The kernel confirms a write only as a whole. */
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

describe('abortSlowReader', () => {
  let response: FakeResponse;
  beforeEach(() => {
    jest.useFakeTimers();
    response = new FakeResponse();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const watch = (minBytesPerSecond = MIN_BYTES_PER_SECOND) =>
    abortSlowReader(response as unknown as ServerResponse, WINDOW_MS, minBytesPerSecond);

  /** Writes piece after piece to a client that reads this many bytes per second. */
  function send(seconds: number, bytesPerSecond: number, pieceBytes = 64 * 1024): void {
    for (let second = 0; second < seconds && !response.closed; second += 1) {
      if (response.written === response.known) response.written += pieceBytes;
      response.taken = Math.min(response.taken + bytesPerSecond, response.written);
      if (response.taken === response.written) response.known = response.written;
      if (response.known === response.written) response.written += pieceBytes;
      jest.advanceTimersByTime(1_000);
    }
  }

  it('aborts a client that reads less than the minimum', () => {
    watch();
    send(600, 100);
    expect(response.closed).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([64 * 1024, 512 * 1024])('serves a client that reads a little more, in pieces of %i', (piece) => {
    watch();
    send(3_600, 1_200, piece);
    expect(response.closed).toBe(false);
  });

  it('aborts a client that becomes slow', () => {
    watch();
    send(300, 100_000);
    expect(response.closed).toBe(false);
    send(600, 1);
    expect(response.closed).toBe(true);
  });

  it('waits for a slow storage', () => {
    watch();
    send(100, 100_000);
    response.known = response.taken = response.written;
    jest.advanceTimersByTime(3_600_000);
    expect(response.closed).toBe(false);
  });

  it('has no minimum if it is 0', () => {
    watch(0);
    send(3_600, 1);
    expect(response.closed).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });
});
