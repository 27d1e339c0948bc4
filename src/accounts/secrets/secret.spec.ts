import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createSecret, isMeantAsSecret, parseSecret } from './secret.js';

const EXAMPLE = 'berth_0123456789ab_0000000000000000000000000000000000000000000_';

describe('createSecret', () => {
  it('makes a secret that parses to the same id and hash', () => {
    for (let n = 0; n < 200; n += 1) {
      const { id, text, sha256 } = createSecret();
      expect(text).toMatch(/^berth_[0-9a-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/);
      expect(parseSecret(text)).toEqual({ id, sha256 });
      expect(sha256).toEqual(createHash('sha256').update(text).digest());
      expect(isMeantAsSecret(text)).toBe(true);
    }
  });

  it('makes another one each time, of all digits', () => {
    const keys = Array.from({ length: 200 }, () => createSecret().text.slice(19, 62));
    expect(new Set(keys).size).toBe(200);
    expect(new Set(Array.from(keys.join(''))).size).toBe(62);
  });
});

describe('parseSecret', () => {
  it('reads the checksum as documented: CRC32 in base 62', () => {
    expect(parseSecret(`${EXAMPLE}1ieR97`)?.id).toBe('0123456789ab');
  });

  it('finds every typing error of one character, or of two that are swapped', () => {
    const { text } = createSecret();
    const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    const typo = fc.tuple(fc.nat(text.length - 1), fc.constantFrom(...Array.from(DIGITS)));
    fc.assert(
      fc.property(typo, ([at, digit]) => {
        const changed = text.slice(0, at) + digit + text.slice(at + 1);
        fc.pre(changed !== text);
        expect(parseSecret(changed)).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(fc.nat(text.length - 2), (at) => {
        const swapped = text.slice(0, at) + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2);
        fc.pre(swapped !== text);
        expect(parseSecret(swapped)).toBeUndefined();
      }),
    );
  });

  it('accepts no part of a secret, and nothing around it', () => {
    const { text } = createSecret();
    for (let end = 0; end < text.length; end += 1) expect(parseSecret(text.slice(0, end))).toBeUndefined();
    for (const other of [` ${text}`, `${text} `, `${text}\n`, `${text}${text}`, text.toUpperCase()]) {
      expect(parseSecret(other)).toBeUndefined();
    }
  });

  it('accepts no other text', () => {
    fc.assert(fc.property(fc.string(), (text) => parseSecret(text) === undefined));
    fc.assert(fc.property(fc.string(), (text) => parseSecret(`${EXAMPLE}${text}`) === undefined));
  });
});
