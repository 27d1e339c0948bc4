import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { ClientRequest } from '../requests/forwarded-headers.js';
import { pathOf, uploadRequestOf } from './upload-request.js';

const LOCATION = '/v2/a/blobs/uploads/x';

function requestOf(headers: IncomingHttpHeaders, url = LOCATION) {
  const headersDistinct = Object.fromEntries(
    Object.entries(headers).map(([name, value = '']) => [name, [value].flat()]),
  );
  const request = { method: 'PATCH', url, headers, headersDistinct, id: 'mine', socket: {} };
  return uploadRequestOf(request as unknown as ClientRequest);
}

describe('uploadRequestOf', () => {
  it.each<[IncomingHttpHeaders, string, number | undefined]>([
    [{ 'upload-offset': '12' }, '', 12],
    [{ 'content-range': '5-9' }, '', 5],
    [{ 'content-range': 'bytes 5-9/10' }, '', 5],
    [{}, '?offset=7', 7],
    [{}, '?digest=sha256:x&offset=7', 7],
    [{}, '', undefined],
    // A header counts before the Location.
    [{ 'upload-offset': '12' }, '?offset=7', 12],
    [{ 'content-range': '5-9' }, '?offset=7', 5],
    // The replica refuses these.
    [{ 'upload-offset': 'x' }, '?offset=7', undefined],
    [{ 'upload-offset': '-1' }, '', undefined],
    [{ 'upload-offset': '9007199254740992' }, '', undefined],
    [{ 'content-range': '-9' }, '', undefined],
    [{}, '?offset=x', undefined],
    [{}, '?notoffset=7', undefined],
  ])('%j at %j begins at %s', (headers, query, start) => {
    expect(requestOf(headers, `${LOCATION}${query}`).start).toBe(start);
  });

  it('parts what says where the body begins from the other headers', () => {
    const { headers, offsetHeaders } = requestOf({
      ...{ host: 'h', 'content-range': '5-9', 'upload-offset': '5', authorization: 'Basic x' },
    });
    expect(offsetHeaders).toEqual({ 'content-range': '5-9', 'upload-offset': '5' });
    expect(
      Object.keys(headers)
        .filter((name) => !name.startsWith('x-'))
        .sort(),
    ).toEqual(['authorization', 'host']);
  });

  it.each<[IncomingHttpHeaders, number, boolean]>([
    [{ 'content-length': '5' }, 5, false],
    [{ 'transfer-encoding': 'chunked' }, Infinity, false],
    [{ 'content-length': '5', expect: '100-continue' }, 5, true],
  ])('%j: %s bytes; waits for 100 Continue: %s', (headers, lengthBytes, expectsContinue) => {
    expect(requestOf(headers)).toMatchObject({ lengthBytes, expectsContinue });
  });
});

describe('pathOf', () => {
  it.each([
    ['/v2/a?b?c', '/v2/a'],
    ['/v2/a', '/v2/a'],
  ])('%s: %s', (target, path) => {
    expect(pathOf(target)).toBe(path);
  });
});
