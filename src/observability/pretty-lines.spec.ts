import { describe, expect, it } from '@jest/globals';
import { forPeople, prettyLines } from './pretty-lines.js';

const DIGEST = `sha256:0123456789ab${'c'.repeat(52)}`;
const REQUEST = {
  level: 30,
  requestId: '7f3c9b1e-0d5a-4c55-9c53-3f2f6f1f6a11',
  method: 'GET',
  status: 200,
  durationMs: 12.3,
  bytesIn: 0,
  bytesOut: 0,
  repository: 'demo/my-image',
  clientAddress: '192.168.100.20',
  userAgent: 'skopeo/1.13.3 (linux)',
  msg: 'request',
};

describe('lines for people', () => {
  it.each([
    [
      { path: `/v2/demo/my-image/blobs/${DIGEST}`, bytesOut: 24_000_000 },
      'GET /v2/demo/my-image/blobs/sha256:0123456789ab… 200 12 ms out 24 MB 192.168.100.20 skopeo/1.13.3',
    ],
    [
      {
        method: 'PATCH',
        path: '/v2/a/blobs/uploads/d2719a04-4e1d-4c2c-8d23-1f2c3a4b5c6d',
        status: 202,
        bytesIn: 1234,
      },
      'PATCH /v2/a/blobs/uploads/d2719a04… 202 12 ms in 1.2 kB 192.168.100.20 skopeo/1.13.3',
    ],
    [
      { path: '/v2/a/manifests/b', status: 404, errorCode: 'MANIFEST_UNKNOWN' },
      'GET /v2/a/manifests/b 404 MANIFEST_UNKNOWN 12 ms 192.168.100.20 skopeo/1.13.3',
    ],
    [
      { path: '/v2/a/manifests/b', status: null, msg: 'request aborted', bytesIn: 5, bytesOut: 7 },
      'GET /v2/a/manifests/b broken off 12 ms in 5 B 192.168.100.20 skopeo/1.13.3',
    ],
    [
      { path: '/v2/a/manifests/b', status: 201, msg: `pushed a:b ${DIGEST} 3 layers 24 MB`, layers: 3 },
      'pushed a:b sha256:0123456789ab… 3 layers 24 MB 12 ms 192.168.100.20 skopeo/1.13.3',
    ],
    [
      { path: '/v2/a/manifests/b', account: 'ci-robot', credential: 'token' },
      'GET /v2/a/manifests/b 200 12 ms ci-robot 192.168.100.20 skopeo/1.13.3',
    ],
    [{ path: '/', userAgent: undefined, clientAddress: undefined }, 'GET / 200 12 ms'],
  ])('make one sentence of %j', (fields, msg) => {
    expect(forPeople({ ...REQUEST, ...fields })).toEqual({ level: 30, msg });
  });

  it.each([
    [{ level: 50, status: 500, msg: 'request failed', errorCode: 'UNKNOWN', bytesIn: 7, bytesOut: 9 }],
    [{ level: 30, status: 400, msg: 'request', errorCode: 'UNKNOWN', bytesIn: 7, bytesOut: 9 }],
  ])('have the request id of failures instead of the client: %j', (fields) => {
    const { level, status } = fields;
    const msg = `GET / ${status} UNKNOWN 12 ms in 7 B 192.168.100.20 7f3c9b1e…`;
    expect(forPeople({ ...REQUEST, path: '/', ...fields })).toEqual({ level, msg });
  });

  it('fit 120 columns with a refusal', async () => {
    const path = '/v2/demo/my-image/manifests/1.0';
    const refusal = { method: 'PUT', path, status: 400, errorCode: 'MANIFEST_INVALID', bytesIn: 195_000 };
    const line = { ...REQUEST, ...refusal, time: '2026-01-02T03:04:05.678Z' };
    const text = (await prettyLines())(JSON.stringify(line)).trimEnd();
    expect(text).toMatch(/400 MANIFEST_INVALID .* 7f3c9b1e…$/);
    expect(text.length).toBeLessThanOrEqual(120);
  });

  it('have the request id of an error as a field', () => {
    const line = { level: 50, requestId: 'x', err: { message: 'm' }, msg: 'a request failed' };
    expect(forPeople(line)).toEqual(line);
  });

  it('have the upload and the client of lines that are not about a whole request', () => {
    const upload = 'd2719a04-4e1d-4c2c-8d23-1f2c3a4b5c6d';
    const broken = { level: 30, requestId: 'x', uploadId: upload, msg: `upload ${upload} broke off` };
    expect(forPeople(broken)).toEqual({ level: 30, msg: 'upload d2719a04… broke off' });
    const refused = { level: 30, requestId: 'x', status: 400, clientAddress: '::1', msg: 'refused: it' };
    expect(forPeople(refused)).toEqual({ level: 30, msg: 'refused: it ::1' });
  });

  it('leave other lines as they are', () => {
    const line = { level: 40, worker: 5, msg: 'a worker has ended' };
    expect(forPeople(line)).toBe(line);
  });

  it('take one line, without control characters', async () => {
    const pretty = await prettyLines();
    const line = {
      level: 30,
      time: '2026-01-02T03:04:05.678Z',
      msg: 'a\nb\u001b[31m\u009b',
      note: 'c\r\u0007',
    };
    const text = pretty(JSON.stringify(line));
    expect(text).toMatch(
      /^\[\d\d:\d\d:05\.678\] INFO: a\\u000ab\\u001b\[31m\\u009b \{"note":"c\\u000d\\u0007"\}\n$/,
    );
  });

  it('keep the lines of a stack', async () => {
    const pretty = await prettyLines();
    const err = { type: 'Error', message: 'a\nb', stack: 'Error: a\n    at b\u001b' };
    const text = pretty(JSON.stringify({ level: 50, msg: 'failed', err }));
    expect(text).toContain('    at b\\u001b');
  });
});
