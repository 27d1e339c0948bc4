import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { describeUndecodable } from './percent-encoding.js';

describe('describeUndecodable', () => {
  it.each(['', '/v2/a', '/v2/%61', '%C3%A9', '%c3%a9%F0%9F%92%A5', '%00', '%25zz'])('accepts %j', (text) => {
    expect(describeUndecodable(text)).toBeUndefined();
  });

  it.each([
    ['/v2/%zz/tags/list', '"%zz" at character 5 is malformed; expected % and two hexadecimal digits'],
    ['%', '"%" at character 1 is malformed; expected % and two hexadecimal digits'],
    ['a%2', '"%2" at character 2 is malformed; expected % and two hexadecimal digits'],
    ['%2%61', '"%2%" at character 1 is malformed; expected % and two hexadecimal digits'],
    ['%ff%zz', '"%zz" at character 4 is malformed; expected % and two hexadecimal digits'],
    ['a/%61/%ff', '"%ff" at character 7 is malformed; expected the bytes of UTF-8 text'],
    ['%c3%a9/%c0%ae%c0%ae', '"%c0%ae%c0%ae" at character 8 is malformed; expected the bytes of UTF-8 text'],
    ['%c3x', '"%c3" at character 1 is malformed; expected the bytes of UTF-8 text'],
    ['%ED%A0%80', '"%ED%A0%80" at character 1 is malformed; expected the bytes of UTF-8 text'],
  ])('says what is wrong with %j', (text, description) => {
    expect(describeUndecodable(text)).toBe(description);
  });

  it('describes exactly what cannot be decoded', () => {
    const text = fc.string({ unit: fc.constantFrom('%', '0', '6', '1', 'c', '3', 'f', 'z', '/') });
    fc.assert(
      fc.property(text, (encoded) => {
        const description = describeUndecodable(encoded);
        if (description === undefined) expect(() => decodeURIComponent(encoded)).not.toThrow();
        else expect(() => decodeURIComponent(encoded)).toThrow();
      }),
    );
  });
});
