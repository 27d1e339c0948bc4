import { applyDecorators } from '@nestjs/common';
import { IsISO8601, Matches } from 'class-validator';

/** ISO 8601 with a time zone. The ranges are those of Postgres; `IsISO8601` checks the days of months. */
const TIME =
  /^[1-9]\d{3}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)$/;

/** Validates a time as a text: ISO 8601 with a time zone. */
export const IsTime = (name: string, example: string) => {
  const message = `${name}: expected a time of ISO 8601 with its zone, as in ${example}`;
  return applyDecorators(IsISO8601({ strict: true }, { message }), Matches(TIME, { message }));
};
