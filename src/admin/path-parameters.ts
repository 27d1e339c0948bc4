import {
  BadRequestException,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type PipeTransform,
} from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { EXAMPLE_REPOSITORY } from '../oci/examples.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { parseTag, type Tag } from '../oci/tag.js';
import { parseUploadId, type UploadId } from '../oci/upload-id.js';

/**
 * The repository in the path, as the guard parsed it and decided on it. OpenAPI clients encode the slashes of
 * its name (`demo%2Fmy-image`). With plain slashes the end of the path decides: `a/tags/tags` are the tags of
 * `a/tags`.
 */
export const NameParam = createParamDecorator((_: unknown, context: ExecutionContext): RepositoryName => {
  const { repository } = context.switchToHttp().getRequest<AuthorizedRequest>();
  if (repository === undefined) throw new Error('the handler has no repository in its path');
  return repository;
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
