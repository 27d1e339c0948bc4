import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { Endpoint } from './parts.js';

export const BaseDocs = () =>
  applyDecorators(
    Endpoint('base', 'checkSupport', 'Is this a registry, and may I use it?', 'end-1'),
    ApiResponse({
      status: 200,
      description: 'It is',
      content: { 'application/json': { schema: { type: 'object' } } },
    }),
  );
