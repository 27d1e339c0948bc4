import {
  BadRequestException,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type PipeTransform,
} from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import type { Request } from 'express';
import { EXAMPLE_REPOSITORY } from '../oci/examples.js';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';
import { parseTag, type Tag } from '../oci/tag.js';
import { parseUploadId, type UploadId } from '../oci/upload-id.js';

/**
 * The `*name` of a path. OpenAPI clients encode its slashes (`demo%2Fmy-image`). With plain slashes the end
 * of the path decides: `a/tags/tags` are the tags of `a/tags`. This is not `@Param`: with that, the
 * validation pipe would join the segments with commas first.
 */
export const NameParam = createParamDecorator((_: unknown, context: ExecutionContext): RepositoryName => {
  const { name } = context.switchToHttp().getRequest<Request>().params;
  return parseRepositoryName(Array.isArray(name) ? name.join('/') : String(name));
});

@Injectable()
export class TagPipe implements PipeTransform<unknown, Tag> {
  transform(value: unknown): Tag {
    return parseTag(String(value));
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
    schema: { type: 'string', maxLength: 255, example: EXAMPLE_REPOSITORY },
    description: "The repository's name. Its slashes may be encoded as `%2F` or not",
  });
