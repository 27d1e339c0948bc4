import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection, rawRequest } from '../support/raw-http.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

describe('behind a proxy in TRUSTED_PROXIES', () => {
  let berth: TestBerth;
  beforeAll(async () => {
    const environment = { TRUSTED_PROXIES: '127.0.0.0/8, 10.1.0.0/16', LOG_LEVEL: 'info' };
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

  it('a forwarded host does not open what is for loopback only', async () => {
    const foreign = await rawRequest(berth.url, 'GET', '/v2/', [['X-Forwarded-Host', 'registry.example']]);
    expect(foreign.status).toBe(200);
    const connection = await RawConnection.open(berth.url);
    await connection.send(
      'GET /v2/ HTTP/1.1\r\nHost: registry.example\r\nX-Forwarded-Host: localhost\r\n\r\n',
    );
    expect((await connection.response()).status).toBe(403);
    connection.leave();
  });
});
