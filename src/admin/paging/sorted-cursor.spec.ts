import { BadRequestException } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { parseTag } from '../../oci/tag.js';
import { SortedCursor } from './sorted-cursor.js';

const tags = new SortedCursor('tags', 'name', parseTag);
const base64url = (text: string) => Buffer.from(text).toString('base64url');

/** The cursor after the first of two items. */
function cursorAfter(name: string, sortValue: string | null, sort: string): string {
  const page = { items: [{ name: parseTag(name), sortValue }], more: true };
  return String(tags.pageDto(page, sort, (item) => item.name).nextCursor);
}

describe('SortedCursor', () => {
  it.each([
    ['name', null, undefined],
    ['-name', null, undefined],
    ['size', '0', '0'],
    ['-size', '29534055', '29534055'],
    ['pushedAt', '1767225600123456', '1767225600123456'],
  ])('decodes what it encoded, for sort=%s', (sort, sortValue, value) => {
    const cursor = cursorAfter('v1.0', sortValue, sort);
    expect(tags.decode(sort, cursor)).toEqual({ value, key: 'v1.0' });
  });

  it('decodes a missing cursor as the first page', () => {
    expect(tags.decode('-size', undefined)).toBeUndefined();
  });

  it('returns items without the value that they were sorted by', () => {
    const page = { items: [{ name: parseTag('a'), sortValue: '1' }], more: false };
    expect(tags.pageDto(page, 'size', ({ name }) => name)).toEqual({
      items: [{ name: 'a' }],
      nextCursor: null,
    });
  });

  it.each(['size', '-pushedAt', 'name', '-name'])('rejects a cursor of another sort: %s', (sort) => {
    const cursor = cursorAfter('a', '1', '-size');
    expect(() => tags.decode(sort, cursor)).toThrow(BadRequestException);
    expect(() => tags.decode(sort, cursor)).toThrow('of this list, with the same sort');
  });

  it.each([
    ['a missing value', 'tags:size:a'],
    ['an empty value', 'tags:size::a'],
    ['a value that is no number', 'tags:size:x:a'],
    ['a negative value', 'tags:size:-1:a'],
    ['a value beyond the range of Postgres', `tags:size:${'9'.repeat(18)}:a`],
    ['a missing key', 'tags:size:1:'],
    ['an invalid key', 'tags:size:1:.hidden'],
    ['a NUL', 'tags:size:1:a\0'],
    ['another list', 'uploads:size:1:a'],
  ])('rejects %s', (_, text) => {
    expect(() => tags.decode('size', base64url(text))).toThrow(BadRequestException);
  });
});
