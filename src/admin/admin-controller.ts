import {
  applyDecorators,
  BadRequestException,
  Controller,
  UsePipes,
  type ValidationError,
  ValidationPipe,
} from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';

const validation = new ValidationPipe({
  transform: true,
  whitelist: true,
  forbidNonWhitelisted: true,
  forbidUnknownValues: true,
  stopAtFirstError: true,
  validationError: { target: false, value: false },
  exceptionFactory: (errors) => new BadRequestException(describe(errors)),
});

/** A controller of the admin API: below `/api/v1`, with validated input, under `tag` in Swagger UI. */
export const AdminController = (path: string, tag: string) =>
  applyDecorators(Controller(`api/v1/${path}`), UsePipes(validation), ApiTags(`Admin: ${tag}`));

/** One message for all invalid parameters. Unknown names are cut, since the client chose them. */
function describe(errors: readonly ValidationError[]): string {
  return errors
    .slice(0, 10)
    .map(({ property, constraints = {} }) =>
      'whitelistValidation' in constraints
        ? `unknown parameter ${JSON.stringify(property.slice(0, 64))}`
        : Object.values(constraints).join(', '),
    )
    .join('; ');
}
