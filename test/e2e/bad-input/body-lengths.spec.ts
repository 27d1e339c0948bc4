import { describe, expect, it } from '@jest/globals';
import { httpChunk, RawConnection, type RawHeaders, requestHead } from '../../support/raw-http.js';
import { digestOf, OCI_MANIFEST, refusal } from '../../support/registry-client.js';
import { freshName } from '../../support/fresh-name.js';
import { eventually } from '../../support/until.js';
import { bytesArrived, uploadFiles } from '../../support/stored-files.js';
import { BLOB, useStoredContent } from './stored-content.js';

describe('bad input: wrong lengths', () => {
  const registry = useStoredContent();
  const { name, rangeOf, raw } = registry;
  const whole = `/v2/${name}/blobs/uploads/?digest=${digestOf('hello')}`;

  it('4. a PATCH that ends before its Content-Length keeps what came', async () => {
    const location = await registry.client.startUpload(name);
    const connection = await RawConnection.open(registry.berth.url);
    await connection.send(requestHead('PATCH', location, [['Content-Length', 100]]), 'hello');
    await bytesArrived(registry.berth, location, 5);
    connection.finishSending();
    expect(await refusal(await connection.response())).toBe('400 UNSUPPORTED');
    expect(
      await eventually(
        () => rangeOf(location),
        (range) => range !== '0-0',
      ),
    ).toBe('0-4');
    expect((await registry.client.commit(location, digestOf('hello'))).status).toBe(201);
    await registry.client.fetch(`/v2/${name}/blobs/${digestOf('hello')}`, { method: 'DELETE' });
    await registry.acceptFiles();
  });

  it('9. a POST that ends before its Content-Length makes no blob and leaves nothing', async () => {
    const repository = freshName('short');
    const inFlight = await uploadFiles(registry.berth);
    const connection = await RawConnection.open(registry.berth.url);
    const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf('hell')}`;
    await connection.send(requestHead('POST', path, [['Content-Length', 5]]), 'hell');
    await eventually(
      () => uploadFiles(registry.berth),
      (uploads) => uploads.length > inFlight.length,
    );
    connection.finishSending();
    expect(await refusal(await connection.response())).toBe('400 UNSUPPORTED');
    const gone = (uploads: string[]) => uploads.length === inFlight.length;
    expect(await eventually(() => uploadFiles(registry.berth), gone)).toEqual(inFlight);
    expect((await registry.client.fetch(`/v2/${repository}/blobs/${digestOf('hell')}`)).status).toBe(404);
  });

  it('20. a manifest that ends before its Content-Length is not stored', async () => {
    const manifest = JSON.stringify(await registry.client.makeImage(name, [BLOB], { short: true }));
    const connection = await RawConnection.open(registry.berth.url);
    const head = requestHead('PUT', `/v2/${name}/manifests/stored`, [
      ['Content-Type', OCI_MANIFEST],
      ['Content-Length', manifest.length + 1],
    ]);
    await connection.send(head, manifest);
    connection.finishSending();
    expect(await refusal(await connection.response())).toBe('400 UNSUPPORTED');
    expect((await registry.client.fetch(`/v2/${name}/manifests/${digestOf(manifest)}`)).status).toBe(404);
  });

  it.each([
    ['hello world', [400, 400]],
    ['hello', [201, 400]],
  ])(
    '9. bytes that a POST sends beyond its Content-Length are not part of the blob "%s"',
    async (text, statuses) => {
      const repository = freshName('long');
      const connection = await RawConnection.open(registry.berth.url);
      const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(text)}`;
      await connection.send(requestHead('POST', path, [['Content-Length', 5]]), 'hello world');
      const responses = [await connection.response(), await connection.response()];
      expect(responses.map(({ status }) => status)).toEqual(statuses);
      // The rest is parsed as another request, which is invalid.
      expect(await refusal(responses[1]!)).toBe('400 UNSUPPORTED');
      expect(await connection.rest()).toHaveLength(0);
      expect((await registry.client.fetch(`/v2/${repository}/blobs/${digestOf('hello world')}`)).status).toBe(
        404,
      );
      await registry.acceptChanges();
    },
  );

  it.each(['-1', '+5', '5, 5', '5x', '0x5', '1e1', '', '18446744073709551616'])(
    '4. the Content-Length "%s" is refused',
    async (length) => {
      const response = await raw('POST', whole, [['Content-Length', length]], 'hello');
      expect(await refusal(response)).toMatch(/^400 (UNSUPPORTED|SIZE_INVALID)$/);
    },
  );

  it('4. a Content-Length beyond 2^53 is SIZE_INVALID', async () => {
    const length = '9007199254740993';
    expect(await refusal(await raw('POST', whole, [['Content-Length', length]]))).toBe('400 SIZE_INVALID');
    expect(await refusal(await raw('PATCH', registry.session, [['Content-Length', length]]))).toBe(
      '400 SIZE_INVALID',
    );
  });

  it.each([
    ['no chunk size', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk longer than its size', '3\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size beyond all bounds', 'ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ])('4. a chunked body with %s is refused', async (_, body) => {
    const response = await raw('POST', whole, [['Transfer-Encoding', 'chunked']], body);
    expect(await refusal(response)).toBe('400 UNSUPPORTED');
    expect((await registry.client.fetch(`/v2/${name}/blobs/${digestOf('hello')}`)).status).toBe(404);
  });

  it('4. a Content-Length together with a Transfer-Encoding is refused as ambiguous', async () => {
    const headers: RawHeaders = [
      ['Content-Length', 5],
      ['Transfer-Encoding', 'chunked'],
    ];
    expect(await refusal(await raw('POST', whole, headers, httpChunk('')))).toBe('400 UNSUPPORTED');
  });

  it('4. an unknown Transfer-Encoding is refused', async () => {
    const headers: RawHeaders = [['Transfer-Encoding', 'gzip']];
    expect(await refusal(await raw('POST', whole, headers, 'hello'))).toBe('400 UNSUPPORTED');
  });
});
