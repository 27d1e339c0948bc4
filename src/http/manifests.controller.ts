import { Controller, Delete, Get, Param, Put, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { OnRepository } from '../access/access.js';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { originOf } from '../access/request-origin.js';
import { ManifestService } from '../manifests/manifest.service.js';
import type { ManifestHead } from '../manifests/manifest.reader.js';
import { formatEtag, matchesEtag } from '../oci/conditional.js';
import { ManifestInvalidError, ManifestUnknownError, TagInvalidError } from '../oci/errors.js';
import { parseReference, type Reference } from '../oci/reference.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { parseTag } from '../oci/tag.js';
import { BodyMemory } from '../transfer/body-memory.js';
import { describePush } from './describe-push.js';
import { requestKeyOf } from './idempotency-key.js';
import { ManifestDeleteDocs, ManifestGetDocs, ManifestPutDocs } from './openapi/manifests.docs.js';
import { queryTexts, Repository } from './parameters.js';
import { RequestBodies } from '../transfer/request-bodies.js';
import { singleHeader } from '../transfer/request-headers.js';
import { sendBytes, sendEmpty, IMMUTABLE, abortOnClose } from './responses.js';

/**
 * Manifests (spec.md, "Pulling manifests", "Pushing Manifests", "Deleting Manifests": end-3, end-7, end-9).
 */
@Controller('v2')
export class ManifestsController {
  constructor(
    private readonly manifests: ManifestService,
    private readonly memory: BodyMemory,
    private readonly bodies: RequestBodies,
  ) {}

  /** Sends the exact bytes that were pushed, whatever the `Accept` header says. */
  @Get('*name/manifests/:reference')
  @OnRepository('pull')
  @ManifestGetDocs()
  async get(
    @Repository() repository: RepositoryName,
    @Param('reference') text: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const reference = parseReadReference(text);
    if (request.method === 'HEAD') {
      const head = await this.manifests.head(repository, reference);
      if (sentNotModified(request, response, head)) return;
      response
        .writeHead(200, { ...headersOf(head), ...caching(reference), 'Content-Length': head.sizeBytes })
        .end();
      return;
    }
    const manifest = await this.manifests.get(repository, reference);
    if (sentNotModified(request, response, manifest)) return;
    sendBytes(response, 200, manifest.content, { ...headersOf(manifest), ...caching(reference) });
  }

  @Put('*name/manifests/:reference')
  @OnRepository('push')
  @ManifestPutDocs()
  async put(
    @Repository() repository: RepositoryName,
    @Param('reference') text: string,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    const reference = parseReference(text);
    const tags = queryTexts(request, 'tag').map(parseTag);
    const requestKey = requestKeyOf(request);
    const { digest, manifest } = await this.memory.run(async (reserve) =>
      this.manifests.put({
        repository,
        reference,
        tags,
        contentType: singleHeader(request, 'content-type', (message) => new ManifestInvalidError(message)),
        content: await this.bodies.manifest(request, reserve),
        client: originOf(request),
        signal: abortOnClose(response),
        requestKey,
      }),
    );
    request.line.add(...describePush({ repository, reference, tags, digest, manifest }));
    const { subject } = manifest;
    sendEmpty(response, 201, {
      Location: `/v2/${repository}/manifests/${digest}`,
      'Docker-Content-Digest': digest,
      ...(subject !== undefined && { 'OCI-Subject': subject }),
      ...(tags.length > 0 && { 'OCI-Tag': tags.join(', ') }),
    });
  }

  /** Deletes a tag by its name, or a manifest and its tags by digest. */
  @Delete('*name/manifests/:reference')
  @OnRepository('delete')
  @ManifestDeleteDocs()
  async delete(
    @Repository() repository: RepositoryName,
    @Param('reference') text: string,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    const key = requestKeyOf(request);
    await this.manifests.delete(repository, parseReference(text), originOf(request), key);
    sendEmpty(response, 202, {});
  }
}

/** For reading, an invalid tag is a tag that does not exist. */
function parseReadReference(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    throw error instanceof TagInvalidError ? new ManifestUnknownError(text.slice(0, 128)) : error;
  }
}

function headersOf({ digest, mediaType }: ManifestHead): Record<string, string> {
  return { 'Content-Type': mediaType, 'Docker-Content-Digest': digest, ETag: formatEtag(digest) };
}

/** A tag may move at any time; the content of a digest never changes. */
function caching({ kind }: Reference): Record<string, string> {
  return { 'Cache-Control': kind === 'tag' ? 'no-cache' : IMMUTABLE };
}

function sentNotModified(request: Request, response: Response, head: ManifestHead): boolean {
  const etag = formatEtag(head.digest);
  if (!matchesEtag(request.headers['if-none-match'], etag)) return false;
  sendEmpty(response, 304, { 'Docker-Content-Digest': head.digest, ETag: etag });
  return true;
}
