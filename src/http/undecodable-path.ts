import type { NextFunction, Request, Response } from 'express';
import { ParameterInvalidError } from '../oci/errors.js';
import { describeUndecodable } from '../oci/percent-encoding.js';

/** Refuses a path with malformed percent-encoding. The router's own message would name none of it. */
export function refuseUndecodablePath({ path }: Request, _response: Response, next: NextFunction): void {
  const description = describeUndecodable(path);
  next(description === undefined ? undefined : new ParameterInvalidError(`invalid path: ${description}`));
}
