import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ParameterInvalidError } from './errors.js';
import { nextLink, parseArtifactTypeFilter, parsePageMarker, parsePageSize } from './page.js';

describe('parsePageSize', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['0', 0],
    ['1', 1],
    ['007', 7],
    ['100', 100],
    ['101', 100],
    ['9'.repeat(400), 100],
  ])('reads %j as %j with a maximum of 100', (n, size) => {
    expect(parsePageSize(n, 100)).toBe(size);
  });

  it.each(['-1', '-0', '+1', '1.5', '1e2', '0x1', 'ten', ' 1', '1\n', '١'])('refuses %j', (n) => {
    expect(() => parsePageSize(n, 100)).toThrow(
      expect.objectContaining({ name: 'ParameterInvalidError', code: 'UNSUPPORTED' }),
    );
  });
});

describe('parsePageMarker', () => {
  it.each([undefined, '', 'latest', 'no such tag!', '😀'])('accepts %j', (last) => {
    expect(parsePageMarker(last)).toBe(last);
  });

  it.each(['a\0', '\ud83d', '\ude00x'])('refuses %j, which Postgres could not compare', (last) => {
    expect(() => parsePageMarker(last)).toThrow(ParameterInvalidError);
  });
});

describe('parseArtifactTypeFilter', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['application/spdx+json', 'application/spdx+json'],
    ['application/spdx json', 'application/spdx+json'],
    ['application/a b c', 'application/a+b+c'],
    ['no media type', 'no+media+type'],
  ])('reads %j as %j', (text, filter) => {
    expect(parseArtifactTypeFilter(text)).toBe(filter);
  });

  it.each(['a\0', '\ud83d'])('refuses %j, which Postgres could not compare', (text) => {
    expect(() => parseArtifactTypeFilter(text)).toThrow('invalid artifactType');
  });
});

describe('nextLink', () => {
  it('keeps n and last', () => {
    expect(nextLink('/v2/a/b/tags/list', 2, '1.0')).toBe('</v2/a/b/tags/list?n=2&last=1.0>; rel="next"');
  });

  it('keeps the filters', () => {
    expect(nextLink('/v2/a/tags/list', 2, 'x', { artifactType: 'a/b+c' })).toBe(
      '</v2/a/tags/list?n=2&last=x&artifactType=a%2Fb%2Bc>; rel="next"',
    );
  });

  it('returns every value to the client that follows it', () => {
    fc.assert(
      fc.property(fc.nat(), fc.string({ unit: 'grapheme' }), (n, last) => {
        const target = /^<(\/v2\/_catalog\?[^<>"\s]*)>; rel="next"$/.exec(nextLink('/v2/_catalog', n, last));
        const query = new URL(target?.[1] ?? '', 'http://berth').searchParams;
        expect([query.get('n'), query.get('last')]).toEqual([String(n), last]);
      }),
    );
  });
});
