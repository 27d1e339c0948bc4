import { HttpException } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import type { Configuration } from '../config/configuration.js';
import { hasBody } from '../transfer/request-headers.js';

/** Larger than any form or JSON document of these endpoints. */
const LIMITS = { limit: 64 * 1024, inflate: false } as const;

/** Deeper than any of these documents. Their validation calls itself for each level. */
const MAX_LEVELS = 16;

/**
 * Reads forms of `/auth/token` and JSON of the admin API into `request.body`. Nothing else is read before its
 * handler: layers and manifests must not be.
 *
 * The client may not have logged in, so they must arrive within `REQUEST_IDLE_TIMEOUT_SECONDS`, and
 * not only continue to arrive.
 */
export function readSmallBodies(app: NestExpressApplication, configuration: Readonly<Configuration>): void {
  const seconds = configuration.requestIdleTimeoutSeconds;
  app.use('/auth/token', only('application/x-www-form-urlencoded', express.urlencoded(LIMITS), seconds));
  app.use('/api/v1', only('application/json', express.json(LIMITS), seconds));
}

/** Refuses bodies of other types. Errors of the parser may quote the body, so they get another message. */
function only(type: string, parse: RequestHandler, seconds: number): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    if (!hasBody(request)) return next();
    if (typeof request.is(type) !== 'string')
      return next(new HttpException(`the body's type must be ${type}`, 415));
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      next(tooSlow(seconds));
    }, seconds * 1000);
    parse(request, response, (error?: unknown) => {
      clearTimeout(timer);
      if (isLate) return;
      if (error !== undefined) next(refusal(error, type));
      else if (hasMoreLevels(request.body))
        next(new HttpException(`the body has more than ${MAX_LEVELS} levels`, 400));
      else next();
    });
  };
}

/** Goes down level by level, not recursively. */
function hasMoreLevels(body: unknown): boolean {
  let values: unknown[] = [body];
  for (let level = 0; values.length > 0 && level < MAX_LEVELS; level += 1) {
    values = values.flatMap((value): unknown[] =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
  return values.length > 0;
}

function tooSlow(seconds: number): Error {
  const limit = `${seconds} s, the limit REQUEST_IDLE_TIMEOUT_SECONDS`;
  return new HttpException(`the body did not arrive within ${limit}`, 408);
}

function refusal(error: unknown, type: string): Error {
  const status = statusOf(error);
  if (status === 413) return new HttpException(`the body is larger than ${LIMITS.limit} bytes`, 413);
  if (status === 415) return new HttpException('a content coding is not supported here', 415);
  if (status === 400) return new HttpException(`the body is not valid ${type}`, 400);
  return error instanceof Error ? error : new Error(String(error));
}

function statusOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
}
