import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { Endpoint } from './parts.js';

export const BaseDocs = () =>
  applyDecorators(
    Endpoint('base', 'checkSupport', 'Check that this is a registry', 'end-1'),
    ApiResponse({
      status: 200,
      description: 'This is a registry',
      content: { 'application/json': { schema: { type: 'object' }, example: {} } },
    }),
  );
