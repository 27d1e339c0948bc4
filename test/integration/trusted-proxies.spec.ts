import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection } from '../support/raw-http.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

describe('behind a proxy in TRUSTED_PROXIES', () => {
  let berth: TestBerth;
  beforeAll(async () => {
    const environment = {
      TRUSTED_PROXIES: '127.0.0.0/8, 10.1.0.0/16',
      ACCESS_MODE: 'open',
      LOG_LEVEL: 'info',
    };
    berth = await startTestBerth(environment);
  });
  afterAll(() => berth.dispose());

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8::7', '2001:db8::7'],
    // Each proxy appends: the client itself may have sent the first ones.
    ['1.1.1.1, 192.0.2.7, 10.1.2.3', '192.0.2.7'],
    ['192.0.2.7, 10.2.0.1', '10.2.0.1'],
    ['unknown', '127.0.0.1'],
    ['<script>', '127.0.0.1'],
  ])('the client of X-Forwarded-For: %s is %s', async (header, address) => {
    const id = randomUUID();
    const headers = { 'X-Forwarded-For': header, 'X-Request-Id': id };
    const path = `/v2/proxied/blobs/uploads/`;
    const response = await fetch(`${berth.url}${path}`, { method: 'POST', headers });
    expect(response.status).toBe(202);
    const own = () => berth.log().filter(({ requestId }) => requestId === id);
    await until('the line of the request', () => own().length > 0);
    expect(own()).toMatchObject([{ clientAddress: address }]);
    const uploadId = response.headers.get('docker-upload-uuid');
    const sql = 'SELECT client_address FROM upload_events WHERE upload_id = $1';
    expect(await berth.query(sql, [uploadId])).toEqual([{ client_address: address }]);
  });
});

it('no proxy opens what is for loopback only', async () => {
  const berth = await startTestBerth({ TRUSTED_PROXIES: '127.0.0.0/8' });
  try {
    const statusOf = async (host: string, header: [string, string]) => {
      const connection = await RawConnection.open(berth.url);
      await connection.send(`GET /v2/ HTTP/1.1\r\nHost: ${host}\r\n${header.join(': ')}\r\n\r\n`);
      const { status } = await connection.response();
      connection.leave();
      return status;
    };
    expect(await statusOf('localhost', ['X-Forwarded-Host', 'registry.example'])).toBe(200);
    expect(await statusOf('registry.example', ['X-Forwarded-Host', 'localhost'])).toBe(403);
    expect(await statusOf('localhost', ['X-Forwarded-For', '127.0.0.2'])).toBe(200);
    expect(await statusOf('localhost', ['X-Forwarded-For', '192.0.2.7, 127.0.0.1'])).toBe(403);
  } finally {
    await berth.dispose();
  }
});
