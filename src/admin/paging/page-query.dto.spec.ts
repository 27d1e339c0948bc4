import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { RepositoriesQueryDto } from '../repositories/repository.dto.js';
import { PageQueryDto } from './page-query.dto.js';

function problems(query: Record<string, unknown>, dto: typeof PageQueryDto = PageQueryDto): string[] {
  return validateSync(plainToInstance(dto, query)).map(({ property }) => property);
}

describe('PageQueryDto', () => {
  it('has a default limit of 100', () => {
    expect(plainToInstance(PageQueryDto, {})).toEqual({ limit: 100 });
    expect(problems({})).toEqual([]);
  });

  it.each([
    ['1', 1],
    ['1000', 1000],
    ['007', 7],
  ])('accepts limit=%s', (limit, expected) => {
    expect(plainToInstance(PageQueryDto, { limit }).limit).toBe(expected);
    expect(problems({ limit })).toEqual([]);
  });

  it.each(['0', '1001', '-1', '+5', '1e2', '0x10', ' 5', '5 ', '', '1.5', 'NaN', '١', '9'.repeat(400), '\0'])(
    'rejects limit=%j',
    (limit) => {
      expect(problems({ limit })).toEqual(['limit']);
    },
  );

  it('rejects repeated parameters', () => {
    expect(problems({ limit: ['1', '2'] })).toEqual(['limit']);
    expect(problems({ cursor: ['a', 'b'] })).toEqual(['cursor']);
  });

  it('limits the length of the cursor', () => {
    expect(problems({ cursor: 'a'.repeat(512) })).toEqual([]);
    expect(problems({ cursor: 'a'.repeat(513) })).toEqual(['cursor']);
  });
});

describe('RepositoriesQueryDto', () => {
  it.each(['', 'library/', 'a', 'a__b-c.d/e'])('accepts q=%j', (q) => {
    expect(problems({ q }, RepositoriesQueryDto)).toEqual([]);
  });

  it.each(['A', 'a%', 'a\0', 'ä', "a'", '\ud800', 'a'.repeat(256), ['a', 'b']])('rejects q=%j', (q) => {
    expect(problems({ q }, RepositoriesQueryDto)).toEqual(['q']);
  });
});
