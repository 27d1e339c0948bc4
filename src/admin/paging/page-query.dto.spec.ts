import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { RepositoriesQueryDto } from '../repositories/repository.dto.js';
import { EventsQueryDto } from '../events/events-query.dto.js';
import { ManifestsQueryDto } from '../manifests/manifest.dto.js';
import { TagsQueryDto } from '../tags/tag.dto.js';
import { UploadsQueryDto } from '../uploads/upload.dto.js';
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

describe('sort', () => {
  it.each<[typeof PageQueryDto, string[]]>([
    [TagsQueryDto, ['name', '-name', 'pushedAt', '-pushedAt', 'size', '-size']],
    [ManifestsQueryDto, ['digest', '-digest', 'pushedAt', '-pushedAt', 'size', '-size']],
    [UploadsQueryDto, ['id', '-id', 'startedAt', '-startedAt', 'size', '-size']],
  ])('%p accepts its own fields, and sorts by the first one', (dto, sorts) => {
    for (const sort of sorts) expect(problems({ sort }, dto)).toEqual([]);
    expect(plainToInstance(dto, {})).toMatchObject({ sort: sorts[0] });
    const others = [
      '',
      '-',
      '+size',
      '--size',
      'SIZE',
      'size,name',
      'updated_at',
      'toString',
      ['size', 'size'],
    ];
    for (const sort of others) expect([sort, ...problems({ sort }, dto)]).toEqual([sort, 'sort']);
  });
});

describe('EventsQueryDto', () => {
  it.each([
    '2026-03-01T00:00:00Z',
    '2026-03-01T00:00Z',
    '2026-03-01T23:59:59.123456+01:00',
    '2028-02-29T12:00:00-12:00',
  ])('accepts since=%j', (since) => {
    expect(problems({ since, until: since }, EventsQueryDto)).toEqual([]);
  });

  it('restores a + that was sent unencoded', () => {
    const query = plainToInstance(EventsQueryDto, { until: '2026-03-01T00:00:00 01:00' });
    expect(query.until).toBe('2026-03-01T00:00:00+01:00');
    expect(validateSync(query)).toEqual([]);
  });

  it.each([
    '',
    'yesterday',
    '2026-03-01',
    '2026-03-01T00:00:00',
    '2026-03-01 00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-03-01T24:00:00Z',
    '2026-03-01T00:00:60Z',
    '2026-03-01T00:00:00+15:00',
    '0000-03-01T00:00:00Z',
    '+12026-03-01T00:00:00Z',
    '2026-W10-1T00:00:00Z',
    '1767225600',
    "2026-03-01T00:00:00Z'",
    '2026-03-01T00:00:00Z\0',
    ['2026-03-01T00:00:00Z', '2026-03-01T00:00:00Z'],
  ])('rejects since=%j', (since) => {
    expect(problems({ since }, EventsQueryDto)).toEqual(['since']);
    expect(problems({ until: since }, EventsQueryDto)).toEqual(['until']);
  });
});
