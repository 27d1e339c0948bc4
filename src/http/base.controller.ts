import { Controller, Get, Res } from '@nestjs/common';
import type { Response } from 'express';
import { SignedIn } from '../access/access.js';
import { BaseDocs } from './openapi/base.docs.js';
import { sendJson } from './responses.js';

/** `GET /v2/` tells clients that this is a registry (spec.md, "Determining Support", end-1). */
@Controller('v2')
export class BaseController {
  @Get()
  @SignedIn()
  @BaseDocs()
  check(@Res() response: Response): void {
    sendJson(response, {});
  }
}
