import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { MovingRequests } from './moving-requests.js';

const LIMITS = { receivingMs: 10_000, sendingMs: 30_000 };

/** A response in progress, whose counters a test changes. */
function progress() {
  const socket = { bytesRead: 0, bytesWritten: 0, _handle: { writeQueueSize: 0 } };
  const req = { socket, complete: false, headers: { 'content-length': '9' }, bytesReceived: 0 };
  const response = { req, headersSent: false, socket: socket as typeof socket | null };
  return { ...response, asResponse: response as unknown as ServerResponse, response };
}

describe('MovingRequests', () => {
  it('counts a request as stalled when no byte of its body has arrived for the limit', () => {
    const moving = new MovingRequests(LIMITS);
    const { asResponse, req } = progress();
    const at = (now: number) => moving.includes([asResponse], now);
    expect([at(0), at(9_999), at(10_000)]).toEqual([true, true, false]);
    req.bytesReceived += 1;
    expect([at(20_000), at(29_999), at(30_000)]).toEqual([true, true, false]);
  });

  it('counts a response as stalled when the kernel has taken no byte of it for the limit', () => {
    const moving = new MovingRequests(LIMITS);
    const { asResponse, response, req } = progress();
    Object.assign(req, { complete: true });
    Object.assign(response, { headersSent: true });
    Object.assign(req.socket, { bytesWritten: 1000, _handle: { writeQueueSize: 900 } });
    const at = (now: number) => moving.includes([asResponse], now);
    expect([at(0), at(29_999), at(30_000)]).toEqual([true, true, false]);
    req.socket._handle.writeQueueSize -= 1;
    expect([at(40_000), at(69_999), at(70_000)]).toEqual([true, true, false]);
  });

  it('never counts a request as stalled whose client waits for the response', () => {
    const moving = new MovingRequests(LIMITS);
    const { asResponse, req } = progress();
    Object.assign(req, { complete: true });
    expect([0, 1_000_000].map((now) => moving.includes([asResponse], now))).toEqual([true, true]);
  });

  it('does not count a response that waits for the one before it', () => {
    const moving = new MovingRequests(LIMITS);
    const { asResponse, response, req } = progress();
    Object.assign(req, { complete: true });
    response.socket = null;
    expect(moving.includes([asResponse], 0)).toBe(false);
  });

  it('counts bytes of the connection where nothing counts those of the body', () => {
    const moving = new MovingRequests(LIMITS);
    const { asResponse, req } = progress();
    Object.assign(req, { bytesReceived: undefined });
    const at = (now: number) => moving.includes([asResponse], now);
    expect([at(0), at(10_000)]).toEqual([true, false]);
    req.socket.bytesRead += 1;
    expect(at(10_001)).toBe(true);
  });

  it('sees each of several requests', () => {
    const moving = new MovingRequests(LIMITS);
    const [one, other] = [progress(), progress()];
    const at = (now: number) => moving.includes([one.asResponse, other.asResponse], now);
    expect(at(0)).toBe(true);
    one.req.bytesReceived += 1;
    expect([at(9_000), at(18_999), at(19_000)]).toEqual([true, true, false]);
  });
});
