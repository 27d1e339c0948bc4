import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { waitForServer } from './wait-for-server.js';

const error = (fields: object) => Object.assign(new Error('failed.'), fields);
const REFUSED = error({ code: 'ECONNREFUSED', syscall: 'connect' });

const lines: string[] = [];
const wait = (connect: () => Promise<string>, waitSeconds: number, reportMs = 600_000) => {
  const warn = (line: string) => void lines.push(line);
  return waitForServer(connect, { waitSeconds, name: 'the database', warn }, { pauseMs: 1, reportMs });
};

/** Fails with `failure`, `times` times. */
function failing(failure: Error, times: number) {
  let left = times;
  return jest.fn(() => (left-- > 0 ? Promise.reject(failure) : Promise.resolve('connected')));
}

beforeEach(() => void (lines.length = 0));

describe('waitForServer', () => {
  it.each([
    ['refuses connections', REFUSED],
    ['refuses them on several addresses', new AggregateError([REFUSED])],
    ['has no name yet', error({ code: 'ENOTFOUND', syscall: 'getaddrinfo' })],
    ['has no name service yet', error({ code: 'EAI_AGAIN', syscall: 'getaddrinfo' })],
    ['has no socket file yet', error({ code: 'ENOENT', syscall: 'connect' })],
    ['starts up', error({ code: '57P03', severity: 'FATAL' })],
    ['has no connection left', error({ code: '53300', severity: 'FATAL' })],
    ['is behind a proxy that ends connections', new Error('Connection terminated unexpectedly')],
    ['resets connections', error({ code: 'ECONNRESET', syscall: 'read' })],
  ])('waits for a server that %s', async (_, failure) => {
    const connect = failing(failure, 3);
    expect(await wait(connect, 600)).toBe('connected');
    expect(connect).toHaveBeenCalledTimes(4);
    expect(lines).toEqual([
      expect.stringMatching(
        /^waiting for the database, up to 600 s \(DATABASE_WAIT_SECONDS\), \d+ s so far: \w.*[^.]$/,
      ),
    ]);
  });

  it('reports the wait now and then', async () => {
    expect(await wait(failing(REFUSED, 3), 600, 0)).toBe('connected');
    expect(lines).toHaveLength(3);
  });

  it.each([
    ['a wrong password', error({ code: '28P01', severity: 'FATAL' })],
    ['an unknown user', error({ code: '28000', severity: 'FATAL' })],
    ['a missing database', error({ code: '3D000', severity: 'FATAL' })],
    ['a certificate that is not trusted', error({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })],
    ['a socket file of another user', error({ code: 'EACCES', syscall: 'connect' })],
    ['a bug', new TypeError('x is not a function')],
  ])('throws %s at once', async (_, failure) => {
    const connect = failing(failure, Infinity);
    await expect(wait(connect, 600)).rejects.toBe(failure);
    expect(connect).toHaveBeenCalledTimes(1);
    expect(lines).toEqual([]);
  });

  it('fails after the wait, and reports its length', async () => {
    const connect = failing(REFUSED, Infinity);
    await expect(wait(connect, 0.02)).rejects.toThrow(
      /^failed; waited \d+ s for it \(DATABASE_WAIT_SECONDS\)$/,
    );
  });

  it('does not wait for 0 seconds', async () => {
    await expect(wait(failing(REFUSED, 1), 0)).rejects.toBe(REFUSED);
    expect(lines).toEqual([]);
  });
});
