import {
  applyDecorators,
  BadRequestException,
  Controller,
  UsePipes,
  type ValidationError,
  ValidationPipe,
} from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { UnauthorizedError } from '../access/access.errors.js';
import { RegistryError } from '../oci/errors.js';
import { ApiProblem } from './problem.dto.js';

const validation = new ValidationPipe({
  transform: true,
  whitelist: true,
  forbidNonWhitelisted: true,
  forbidUnknownValues: true,
  stopAtFirstError: true,
  validationError: { target: false, value: false },
  exceptionFactory: (errors) => new BadRequestException(describe(errors)),
});

const UNAUTHORIZED = new UnauthorizedError().message;

/** A controller of the admin API: below `/api/v1`, with validated input, under `tag` in Swagger UI. */
export const AdminController = (path: string, tag: string) =>
  applyDecorators(
    Controller(`api/v1/${path}`),
    UsePipes(validation),
    ApiTags(`Admin: ${tag}`),
    ApiProblem(401, 'No credentials, or wrong ones; tokens of `/auth/token` are wrong here', UNAUTHORIZED),
    ApiProblem(
      403,
      "The caller's rights do not suffice; or, where access is open on loopback, a request of another web page " +
        'or for another host name',
      new RegistryError('DENIED').message,
    ),
    ApiProblem(500, 'A failure that the log explains; it has the request id', 'internal error'),
    ApiProblem(
      503,
      'The database is not available or is overloaded; retry after `Retry-After`',
      'the database is not available',
    ),
  );

/** One message for all invalid parameters and fields. Unknown names are cut, since the client chose them. */
function describe(errors: readonly ValidationError[]): string {
  return [...new Set(errors.flatMap(messagesOf))].slice(0, 10).join('; ');
}

function messagesOf({ property, constraints = {}, children = [] }: ValidationError): string[] {
  if ('whitelistValidation' in constraints)
    return [`unknown parameter ${JSON.stringify(property.slice(0, 64))}`];
  return [...Object.values(constraints), ...children.flatMap(messagesOf)];
}
