import { BadRequestException } from '@nestjs/common';

/** The id of a row, as the lists of the admin API use it. @throws BadRequestException */
export function parseRowId(text: string): string {
  if (!/^[1-9][0-9]{0,17}$/.test(text)) throw new BadRequestException('id: expected a number');
  return text;
}
