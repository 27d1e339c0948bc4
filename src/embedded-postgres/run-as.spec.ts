import { describe, expect, it } from '@jest/globals';
import { parsePasswd } from './run-as.js';

describe('parsePasswd', () => {
  it('returns the accounts that are not root', () => {
    const text = [
      'root:x:0:0:root:/root:/bin/bash',
      'toor:x:0:0::/root:/bin/sh',
      '# a comment:x:1:1:::',
      'nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false',
      'postgres:x:101:104::/var/lib/postgresql:/bin/bash',
      '',
    ].join('\n');
    expect(parsePasswd(text)).toEqual([
      { name: 'nobody', uid: 4294967294, gid: 4294967294 },
      { name: 'postgres', uid: 101, gid: 104 },
    ]);
  });
});
