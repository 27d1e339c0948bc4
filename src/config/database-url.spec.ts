import { describe, expect, it } from '@jest/globals';
import { databaseUrls, describeHosts } from './database-url.js';
import { withoutPassword } from './env.js';

const hrefs = (text: string) => databaseUrls(text).map(({ href }) => href);

describe('databaseUrls', () => {
  it.each([
    ['postgres://u:p@a/db', ['postgres://u:p@a/db']],
    ['postgres://u:p@a:5432,b:5433/db?x=1', ['postgres://u:p@a:5432/db?x=1', 'postgres://u:p@b:5433/db?x=1']],
    ['postgresql://u:p,q@a,b/db', ['postgresql://u:p,q@a/db', 'postgresql://u:p,q@b/db']],
    ['postgres://a,[::1]:1/db?target_session_attrs=read-write', ['postgres://a/db', 'postgres://[::1]:1/db']],
    [
      'postgres://u@%2Fa,%2Fb:1/db?target_session_attrs=primary',
      ['postgres://u@%2Fa/db', 'postgres://u@%2Fb:1/db'],
    ],
    ['postgres:///db', ['postgres:///db']],
  ])('reads %s', (text, urls) => expect(hrefs(text)).toEqual(urls));

  it.each([
    'postgres://a,/db',
    'postgres://,a/db',
    'postgres://a:x,b/db',
    'postgres://a,b/db?target_session_attrs=any',
    'postgres://a/db?target_session_attrs=standby',
    'mysql://a/db',
  ])('refuses %s', (text) => expect(() => databaseUrls(text)).toThrow());
});

it('describeHosts names hosts and ports alone', () => {
  expect(describeHosts(databaseUrls('postgres://u:p@a,b:5433/db'))).toBe('a:5432,b:5433');
});

it.each([
  ['postgres://a@a:1,b/db', 'postgres://a@a:1,b/db'],
  ['postgres://u:secret@a:1,b/db?password=secret', 'postgres://u:***@a:1,b/db?…'],
  ['postgres://a/db', 'postgres://a/db'],
])('withoutPassword shows %s as %s', (url, shown) => expect(withoutPassword(url)).toBe(shown));
