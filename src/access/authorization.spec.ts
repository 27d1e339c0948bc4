import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseAuthorization } from './authorization.js';

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64');
const basic = (text: string | Uint8Array) => `Basic ${base64(text)}`;

describe('parseAuthorization', () => {
  it.each([
    [basic('alice:secret'), 'alice', 'secret'],
    [basic('alice:secret').replace('Basic', 'bAsIc'), 'alice', 'secret'],
    [basic('alice:secret').replace(' ', '   '), 'alice', 'secret'],
    [basic('alice:a:b: c'), 'alice', 'a:b: c'],
    [basic('älice:pässword €'), 'älice', 'pässword €'],
    [basic('alice:'), 'alice', ''],
    [basic(':secret'), '', 'secret'],
    [basic(':'), '', ''],
  ])('reads %s', (header, name, password) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'basic', name, password });
  });

  it.each([
    ['Bearer abc', 'abc'],
    ['bearer  abc', 'abc'],
    ['BEARER a-b.c_d~e+f/g==', 'a-b.c_d~e+f/g=='],
  ])('reads %s', (header, token) => {
    expect(parseAuthorization(header)).toEqual({ scheme: 'bearer', token });
  });

  it.each([
    '',
    'Basic',
    'Basic ',
    'Bearer',
    'Bearer ',
    `Basic${base64('alice:secret')}`,
    `Basic\t${base64('alice:secret')}`,
    ` ${basic('alice:secret')}`,
    `${basic('alice:secret')} `,
    `${basic('alice:secret')}, Bearer abc`,
    `Basic ${base64('alice:secret')} ${base64('alice:secret')}`,
    `Basic realm="x"`,
    `Digest ${base64('alice:secret')}`,
    `Basic, ${base64('alice:secret')}`,
    `Negotiate ${base64('alice:secret')}`,
    base64('alice:secret'),
    'alice:secret',
    basic('no colon'),
    basic('alice:sec\0ret'),
    basic('alice:sec\nret'),
    basic('ali\u007fce:secret'),
    basic('alice:\u0085'),
    basic(Uint8Array.of(0x61, 0x3a, 0xe4)),
    basic(Uint8Array.of(0x61, 0x3a, 0xc0, 0x80)),
    // Base64 that is not canonical: without padding, with bits left over, of the alphabet for URLs.
    basic('alice:secre').replaceAll('=', ''),
    'Basic YTpiYx==',
    'Basic YTo-',
    'Basic YTo_',
    'Basic YTpi=YTpi',
    'Basic YTpi====',
    'Bearer a b',
    'Bearer a=b',
    'Bearer ä',
  ])('refuses %j', (header) => expect(parseAuthorization(header)).toBeUndefined());

  it('refuses more than 16 KiB', () => {
    expect(parseAuthorization(`Bearer ${'a'.repeat(16_000)}`)).toBeDefined();
    expect(parseAuthorization(`Bearer ${'a'.repeat(16 * 1024)}`)).toBeUndefined();
    expect(parseAuthorization(basic(`alice:${'a'.repeat(16 * 1024)}`))).toBeUndefined();
  });

  it('reads every name and password without control characters', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => !/\p{Cc}/u.test(value));
    const name = text.filter((value) => !value.includes(':'));
    fc.assert(
      fc.property(name, text, (name, password) => {
        const expected = { scheme: 'basic', name, password };
        expect(parseAuthorization(basic(`${name}:${password}`))).toEqual(expected);
      }),
    );
  });

  it('refuses what it does not read completely', () => {
    const scheme = fc.constantFrom('Basic ', 'Bearer ', 'basic', '');
    fc.assert(
      fc.property(scheme, fc.string(), (start, rest) => {
        const result = parseAuthorization(start + rest);
        if (result?.scheme === 'bearer') expect(start + rest).toMatch(/^bearer +\S+$/i);
        if (result?.scheme === 'basic') {
          const again = base64(`${result.name}:${result.password}`);
          expect((start + rest).replace(/^basic +/i, '')).toBe(again);
        }
      }),
    );
  });
});
