import { STATUS_CODES } from 'node:http';
import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiProperty, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { NameUnknownError } from '../oci/errors.js';
import { EXAMPLE_REPOSITORY } from '../oci/examples.js';

const REQUEST_ID = '0c8f9a52-6f5f-4c0b-8c53-3f6a5a0f6d11';

/** An error of the admin API (RFC 9457). The exception filter writes it. */
export class ProblemDto {
  @ApiProperty({ enum: ['about:blank'] })
  type: 'about:blank';

  @ApiProperty({ description: 'The phrase of the HTTP status', example: 'Not Found' })
  title: string;

  @ApiProperty({ type: 'integer', example: 404 })
  status: number;

  @ApiProperty({ example: 'repository name not known to registry' })
  detail: string;

  @ApiProperty({ description: 'The id of the request in the log', example: REQUEST_ID })
  requestId: string;
}

/** Documents an error response of an endpoint of the admin API. @param detail as in a real response. */
export const ApiProblem = (status: number, description: string, detail: string) =>
  applyDecorators(
    ApiExtraModels(ProblemDto),
    ApiResponse({
      status,
      description,
      content: {
        'application/problem+json': {
          schema: { $ref: getSchemaPath(ProblemDto) },
          example: {
            type: 'about:blank',
            title: STATUS_CODES[status],
            status,
            detail,
            requestId: REQUEST_ID,
          },
        },
      },
    }),
  );

export const ApiMalformedParameter = () =>
  ApiProblem(400, 'A parameter is malformed', 'limit: expected a number from 1 to 1000');

export const ApiMalformedName = () =>
  ApiProblem(400, 'The name is malformed', 'invalid repository name: expected components of a-z and 0-9, …');

export const ApiUnknownRepository = () =>
  ApiProblem(404, 'The repository does not exist', new NameUnknownError(EXAMPLE_REPOSITORY).message);
