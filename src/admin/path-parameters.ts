import {
  BadRequestException,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type PipeTransform,
} from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import type { Request } from 'express';
import { type Digest, parseDigest } from '../oci/digest.js';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';
import { parseUploadId, type UploadId } from '../oci/upload-id.js';

/**
 * The `*name` of a path. Clients should encode its slashes (`library%2Fbusybox`), as OpenAPI clients do.
 * Plain slashes are accepted where they cannot mean another endpoint. This is not `@Param`: with that, the
 * validation pipe would join the segments with commas first.
 */
export const NameParam = createParamDecorator((_: unknown, context: ExecutionContext): RepositoryName => {
  const { name } = context.switchToHttp().getRequest<Request>().params;
  return parseRepositoryName(Array.isArray(name) ? name.join('/') : String(name));
});

@Injectable()
export class DigestPipe implements PipeTransform<unknown, Digest> {
  transform(value: unknown): Digest {
    return parseDigest(String(value));
  }
}

/** An invalid id is a 400 here. On `/v2` it is a 404, because ids there are part of URLs from Berth. */
@Injectable()
export class UploadIdPipe implements PipeTransform<unknown, UploadId> {
  transform(value: unknown): UploadId {
    try {
      return parseUploadId(String(value));
    } catch (cause) {
      throw new BadRequestException('id: expected a UUID', { cause });
    }
  }
}

/** Documents `{name}`. */
export const ApiRepositoryName = () =>
  ApiParam({
    name: 'name',
    schema: { type: 'string', maxLength: 255, example: 'library/busybox' },
    description: "The repository's name, as one path segment: encode its slashes as `%2F`",
  });
