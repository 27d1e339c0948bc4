import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { RawConnection, requestHead } from '../../support/raw-http.js';
import { digestOf, refusal } from '../../support/registry-client.js';
import { freshName } from '../../support/fresh-name.js';
import { BLOB, DIGEST, useStoredContent } from './stored-content.js';

describe('bad input: one connection for several requests', () => {
  const registry = useStoredContent();
  const { name } = registry;
  it('14. pipelined requests get their responses in order', async () => {
    const connection = await RawConnection.open(registry.berth.url);
    const paths = [
      `/v2/${name}/blobs/${DIGEST}`,
      '/v2/',
      `/v2/${name}/blobs/${digestOf('none')}`,
      `/v2/${name}/blobs/${DIGEST}`,
    ];
    await connection.send(...paths.map((path) => requestHead('GET', path)));
    const responses = [];
    for (const _ of paths) {
      const response = await connection.response();
      responses.push([response.status, await response.text()]);
    }
    connection.leave();
    expect(responses.map(([status]) => status)).toEqual([200, 200, 404, 200]);
    expect([responses[0]![1], responses[3]![1]]).toEqual([BLOB, BLOB]);
  });

  it('14. garbage after a request does not get into its response', async () => {
    const large = randomBytes(8_000_000);
    const repository = freshName('large');
    const digest = await registry.client.pushBlob(repository, large);
    const connection = await RawConnection.open(registry.berth.url);
    await connection.send(requestHead('GET', `/v2/${repository}/blobs/${digest}`));
    const first = await connection.some();
    await connection.send('garbage\r\n\r\n');
    const responses = Buffer.concat([first, await connection.rest()]);
    connection.leave();
    const body = responses.subarray(responses.indexOf('\r\n\r\n') + 4);
    expect(digestOf(body.subarray(0, large.length))).toBe(digest);
    expect(String(body.subarray(large.length))).toMatch(/^HTTP\/1\.1 400 /);
    await registry.client.fetch(`/v2/${repository}/blobs/${digest}`, { method: 'DELETE' });
    await registry.acceptChanges();
  });

  it('9. a refused upload gets its response while its body is still being sent', async () => {
    const connection = await RawConnection.open(registry.berth.url);
    const path = `/v2/${name}/blobs/uploads/?digest=sha256:short`;
    await connection.send(requestHead('POST', path, [['Content-Length', 10_000_000]]));
    for (let sent = 0; sent < 10_000_000; sent += 1_000_000) await connection.send(Buffer.alloc(1_000_000));
    expect(await refusal(await connection.response())).toBe('400 DIGEST_INVALID');
    connection.leave();
  });

  it('4. Expect: 100-continue gets its response before the body is sent', async () => {
    const location = await registry.client.startUpload(name);
    const connection = await RawConnection.open(registry.berth.url);
    const head = requestHead('PATCH', location, [
      ['Content-Length', 5],
      ['Expect', '100-continue'],
    ]);
    await connection.send(head);
    expect(String(await connection.some())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    await connection.send('hello');
    expect((await connection.response()).status).toBe(202);
    connection.leave();
    await registry.client.fetch(location, { method: 'DELETE' });
  });
});
