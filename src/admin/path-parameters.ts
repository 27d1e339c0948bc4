import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { type Digest, parseDigest } from '../oci/digest.js';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';
import { parseUploadId, type UploadId } from '../oci/upload-id.js';

/**
 * The `*name` in a path. Its slashes are to be encoded (`library%2Fbusybox`), as OpenAPI clients do anyway; what comes
 * with plain ones is understood as well, where it can't be mistaken for another endpoint.
 */
@Injectable()
export class RepositoryNamePipe implements PipeTransform<unknown, RepositoryName> {
  transform(value: unknown): RepositoryName {
    return parseRepositoryName(Array.isArray(value) ? value.join('/') : String(value));
  }
}

@Injectable()
export class DigestPipe implements PipeTransform<unknown, Digest> {
  transform(value: unknown): Digest {
    return parseDigest(String(value));
  }
}

/** An id that can't be one is the caller's mistake here; on `/v2`, where ids are part of URLs given out, it is a 404. */
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
    description: "The repository's name. As one path segment: its slashes are encoded as `%2F`",
  });
