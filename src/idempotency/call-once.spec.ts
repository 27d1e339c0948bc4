import { describe, expect, it } from '@jest/globals';
import { CallOnce } from './call-once.js';
import { requestKey } from './request-key.js';

describe('CallOnce', () => {
  const call = new CallOnce('SELECT delete_tag($1, $2) AS deleted', 'delete_tag', 2);
  const key = requestKey({
    ...{ caller: null, method: 'DELETE', target: '/', contentType: null, idempotencyKey: 'x' },
  });

  it('calls the function without a key', () =>
    expect(call.with(['a', 'b'], undefined)).toEqual(['SELECT delete_tag($1, $2) AS deleted', ['a', 'b']]));

  it('calls the variant with the key, as the last parameter of the statement', () =>
    expect(call.with(['a', 'b'], key)).toEqual([
      'SELECT delete_tag_once($3, $1, $2) AS deleted',
      ['a', 'b', key],
    ]));
});
