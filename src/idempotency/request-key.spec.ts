import { describe, expect, it } from '@jest/globals';
import { digestOf } from '../oci/digest.js';
import { type IdentifiedRequest, requestKey, withContent } from './request-key.js';

const REQUEST: IdentifiedRequest = {
  caller: 'alice',
  method: 'PUT',
  target: '/v2/a/manifests/v1?tag=x',
  contentType: 'application/vnd.oci.image.manifest.v1+json',
  idempotencyKey: '"8e03978e"',
};

describe('requestKey', () => {
  it('is the same for the same request: 32 bytes', () => {
    expect(requestKey({ ...REQUEST })).toEqual(requestKey(REQUEST));
    expect(requestKey(REQUEST)).toHaveLength(32);
  });

  it.each<Partial<IdentifiedRequest>>([
    { caller: 'bob' },
    { caller: null },
    { caller: '' },
    { method: 'DELETE' },
    { target: '/v2/a/manifests/v1' },
    { contentType: 'application/vnd.oci.image.index.v1+json' },
    { contentType: null },
    { idempotencyKey: '8e03978e' },
    { caller: 'alicePUT', method: '' },
    { method: 'PUT","/v2', target: '/a/manifests/v1?tag=x' },
  ])('is another one for %j', (other) => {
    expect(requestKey({ ...REQUEST, ...other })).not.toEqual(requestKey(REQUEST));
  });
});

describe('withContent', () => {
  it('depends on the content and on the request', () => {
    const key = requestKey(REQUEST);
    const other = requestKey({ ...REQUEST, caller: 'bob' });
    const [one, two] = ['one', 'two'].map((text) => digestOf('sha256', Buffer.from(text)));
    const keys = [key, withContent(key, one!), withContent(key, two!), withContent(other, one!)];
    expect(new Set(keys.map((each) => each.toString('hex'))).size).toBe(4);
    expect(withContent(key, one!)).toEqual(withContent(key, one!));
  });
});
