import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsOptional } from 'class-validator';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { IsTime } from '../time.js';

/** In a query an unencoded `+` is a space, and a time has no other space. */
const restoredPlus = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' ? value.replace(/ (?=\d\d:\d\d$)/, '+') : value;

const TimeProperty = (name: string, description: string, example: string) =>
  applyDecorators(
    ApiPropertyOptional({ type: String, format: 'date-time', description }),
    Transform(restoredPlus),
    IsOptional(),
    IsTime(name, example),
  );

/** The query parameters of a list of events. */
export class EventsQueryDto extends PageQueryDto {
  @TimeProperty('since', 'Only events at this time or later', '2026-03-01T00:00:00Z')
  since?: string | undefined;

  @TimeProperty('until', 'Only events before this time', '2026-04-01T00:00:00Z')
  until?: string | undefined;
}
