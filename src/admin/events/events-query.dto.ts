import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsISO8601, IsOptional, Matches } from 'class-validator';
import { PageQueryDto } from '../paging/page-query.dto.js';

/** ISO 8601 with a time zone. The ranges are those of Postgres; `IsISO8601` checks the days of months. */
const TIME =
  /^[1-9]\d{3}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)$/;

/** In a query an unencoded `+` is a space, and a time has no other space. */
const restoredPlus = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' ? value.replace(/ (?=\d\d:\d\d$)/, '+') : value;

const TimeProperty = (name: string, description: string, example: string) => {
  const message = `${name}: expected a time of ISO 8601 with its zone, as in ${example}`;
  return applyDecorators(
    ApiPropertyOptional({ type: String, format: 'date-time', description }),
    Transform(restoredPlus),
    IsOptional(),
    IsISO8601({ strict: true }, { message }),
    Matches(TIME, { message }),
  );
};

/** The query parameters of a list of events. */
export class EventsQueryDto extends PageQueryDto {
  @TimeProperty('since', 'Only events at this time or later', '2026-03-01T00:00:00Z')
  since?: string | undefined;

  @TimeProperty('until', 'Only events before this time', '2026-04-01T00:00:00Z')
  until?: string | undefined;
}
