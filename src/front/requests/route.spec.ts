import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { placeOf, routeOf } from './route.js';

const DIGEST = `sha256:${'0'.repeat(64)}`;

describe('routeOf', () => {
  it.each([
    ['/v2/a/blobs/uploads/', 'uploads'],
    ['/v2/a/blobs/uploads', 'uploads'],
    [`/v2/a/b/c/blobs/uploads/?digest=${DIGEST}`, 'uploads'],
    ['/v2/a/blobs/uploads/1b4e28ba', 'session'],
    ['/v2/a/b/blobs/uploads/1b4e28ba?offset=5&digest=x/y', 'session'],
    [`/v2/a/blobs/${DIGEST}`, 'blob'],
    [`/v2/a%2Fb/%62lobs/${encodeURIComponent(DIGEST)}`, 'blob'],
    ['/v2/a/blobs%2Fuploads%2F1b4e28ba', 'session'],
    ['/v2/a/manifests/latest', 'manifest'],
    [`/v2/blobs/uploads/manifests/${DIGEST}`, 'manifest'],
    ['/v2/blobs/blobs/blobs/uploads/x', 'session'],
    ['/auth/token?service=berth', 'token'],
    ['/v2/', 'other'],
    ['/v2/a/tags/list', 'other'],
    [`/v2/a/referrers/${DIGEST}`, 'other'],
    ['/v2/blobs/x', 'other'],
    ['/v2/a/manifests/', 'other'],
    ['/api/v1/repositories?name=/v2/a/manifests/latest', 'other'],
    ['/V2/a/manifests/latest', 'other'],
    ['/v2/a%zz/manifests/latest', 'other'],
    ['/v2/a/manifests/%ff', 'other'],
  ])('%s: %s', (url, route) => {
    expect(routeOf({ url } as IncomingMessage)).toBe(route);
  });
});

describe('placeOf', () => {
  it.each([
    ['/v2/a/b/blobs/uploads/', { repository: 'a/b', params: {} }],
    ['/v2/a%2Fb/blobs/uploads/1b4e28ba?offset=5', { repository: 'a/b', params: { uploadId: '1b4e28ba' } }],
    [`/v2/a/blobs/${DIGEST}`, { repository: 'a', params: { digest: DIGEST } }],
    ['/v2/a/manifests/latest', { repository: 'a', params: { reference: 'latest' } }],
    ['/v2/%1Ba/manifests/latest', { repository: '\\u001ba', params: { reference: 'latest' } }],
    ['/auth/token', {}],
    ['/', {}],
  ])('finds the names in %s', (url, names) => {
    const { route: _, ...found } = placeOf({ url } as IncomingMessage);
    expect(found).toEqual(names);
  });
});
