import { Controller, Delete, Get, Patch, Post, Put, Req, Res } from '@nestjs/common';
import type { Response } from 'express';
import { OnRepository, OnUploadSession } from '../access/access.js';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { AccessService } from '../access/access.service.js';
import { originOf } from '../access/request-origin.js';
import { BlobService } from '../blobs/blob.service.js';
import type { Digest } from '../oci/digest.js';
import { DigestInvalidError, RegistryError } from '../oci/errors.js';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';
import { type BlobDigest, isTarsum, parseBlobDigest } from '../oci/tarsum.js';
import type { UploadId } from '../oci/upload-id.js';
import type { UploadReference } from '../uploads/session/upload-session.js';
import { UploadService } from '../uploads/upload.service.js';
import type { WantedDigests } from '../uploads/wanted-digests.js';
import { requestKeyOf } from './idempotency-key.js';
import {
  UploadAppendDocs,
  UploadCancelDocs,
  UploadCommitDocs,
  UploadStartDocs,
  UploadStatusDocs,
} from './openapi/uploads.docs.js';
import { queryAlgorithm, queryDigests, Repository, UploadIdParam } from './parameters.js';
import { prefers } from '../transfer/preferences.js';
import type { UploadBody } from '../transfer/read-body.js';
import { RequestBodies } from '../transfer/request-bodies.js';
import { UploadBodies } from '../transfer/upload-bodies.js';
import { hasBody } from '../transfer/request-headers.js';
import { sendEmpty } from './responses.js';
import { progressListener } from './upload-progress.js';
import { locationOffset, sessionHeaders, sessionQuery, statedOffset } from './upload-location.js';

/**
 * Pushing and mounting blobs (spec.md, "Pushing blobs": end-4, end-5, end-6,
 * end-11, end-13).
 */
@Controller('v2')
export class UploadsController {
  constructor(
    private readonly uploads: UploadService,
    private readonly blobs: BlobService,
    private readonly access: AccessService,
    private readonly bodies: RequestBodies,
    private readonly received: UploadBodies,
  ) {}

  /** Starts a session. With `mount` or `digest` in the query, mounts a blob or stores a whole one instead. */
  @Post(['*name/blobs/uploads', '*name/blobs/uploads/'])
  @OnRepository('push')
  @UploadStartDocs()
  async start(
    @Repository() repository: RepositoryName,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    const mounted = await this.mount(repository, request);
    if (mounted !== undefined) return sendCreated(response, repository, mounted);
    const wanted = queryDigests(request);
    if (wanted !== undefined) return this.pushWhole(repository, wanted, request, response);
    const session = await this.uploads.start(repository, queryAlgorithm(request), originOf(request));
    sendProgress(response, 202, session);
  }

  @Get('*name/blobs/uploads/:uploadId')
  @OnUploadSession()
  @UploadStatusDocs()
  async status(
    @Repository() repository: RepositoryName,
    @UploadIdParam() id: UploadId,
    @Res() response: Response,
  ): Promise<void> {
    sendProgress(response, 204, await this.uploads.status({ repository, id }));
  }

  @Patch('*name/blobs/uploads/:uploadId')
  @OnUploadSession()
  @UploadAppendDocs()
  async append(
    @Repository() repository: RepositoryName,
    @UploadIdParam() id: UploadId,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    const { offsetBytes } = await this.uploads.append(
      { repository, id },
      this.sessionBody(request, response),
      originOf(request),
      takeoverBy(request),
    );
    sendProgress(response, 202, { repository, id, offsetBytes });
  }

  @Put('*name/blobs/uploads/:uploadId')
  @OnUploadSession()
  @UploadCommitDocs()
  async commit(
    @Repository() repository: RepositoryName,
    @UploadIdParam() id: UploadId,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    const wanted = queryDigests(sessionQuery(request));
    if (wanted === undefined) throw new DigestInvalidError('query parameter digest is missing');
    // Without a body nothing is appended: clients repeat the Content-Range of their last chunk here.
    const body = hasBody(request) ? this.sessionBody(request, response) : undefined;
    const reference = { repository, id };
    const [origin, options] = [originOf(request), takeoverBy(request)];
    const canonical = await this.uploads.commit(reference, wanted, body, origin, options);
    sendCreated(response, repository, wanted.only ?? canonical);
  }

  @Delete('*name/blobs/uploads/:uploadId')
  @OnUploadSession()
  @UploadCancelDocs()
  async cancel(
    @Repository() repository: RepositoryName,
    @UploadIdParam() id: UploadId,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    await this.uploads.cancel({ repository, id }, originOf(request), takeoverBy(request));
    sendEmpty(response, 204, {});
  }

  /** @throws TooManyBodiesError; what {@link RequestBodies.upload} throws */
  private body(request: AuthorizedRequest, response: Response): UploadBody {
    const body = this.bodies.upload(request);
    this.received.enter(response);
    return body;
  }

  private sessionBody(request: AuthorizedRequest, response: Response): UploadBody {
    return {
      ...this.body(request, response),
      statedOffset: statedOffset(request),
      locationOffset: locationOffset(request),
      onDurable: progressListener(request, response),
    };
  }

  /**
   * Returns the digest of the blob that was mounted; undefined if no mount was requested, or if it is not
   * possible for any reason, such as a malformed or repeated parameter. The client then gets a session and
   * pushes the bytes.
   */
  private async mount(repository: RepositoryName, request: AuthorizedRequest): Promise<Digest | undefined> {
    const digest = parsedOrUndefined(request.query.mount, parseBlobDigest);
    if (digest === undefined) return undefined;
    const requestKey = requestKeyOf(request);
    const source = await this.mountSource(digest, request);
    if (source === undefined) return undefined;
    const mount = { target: repository, source, digest, origin: originOf(request), requestKey };
    return this.blobs.mount(mount);
  }

  private async mountSource(
    digest: BlobDigest,
    request: AuthorizedRequest,
  ): Promise<RepositoryName | undefined> {
    const { caller } = request;
    if (request.query.from === undefined) {
      // Other bytes can have the same tarsum, so the client says whose it means.
      if (isTarsum(digest)) return undefined;
      return this.blobs.findMountSource(digest, this.access.mountableNames(caller));
    }
    const source = parsedOrUndefined(request.query.from, parseRepositoryName);
    return source !== undefined && this.access.mayPull(caller, source) ? source : undefined;
  }

  private async pushWhole(
    repository: RepositoryName,
    wanted: WantedDigests,
    request: AuthorizedRequest,
    response: Response,
  ): Promise<void> {
    const body = this.body(request, response);
    const canonical = await this.uploads.pushWhole(repository, wanted, body, originOf(request));
    sendCreated(response, repository, wanted.only ?? canonical);
  }
}

function takeoverBy(request: AuthorizedRequest): { readonly takesOver: boolean } {
  return { takesOver: prefers(request, 'upload-takeover') };
}

function sendProgress(
  response: Response,
  status: number,
  session: UploadReference & { offsetBytes: number },
): void {
  sendEmpty(response, status, sessionHeaders(session));
}

function sendCreated(response: Response, repository: RepositoryName, digest: Digest): void {
  sendEmpty(response, 201, {
    Location: `/v2/${repository}/blobs/${digest}`,
    'Docker-Content-Digest': digest,
  });
}

/** Undefined also for a parameter that is repeated. */
function parsedOrUndefined<T>(parameter: unknown, parse: (text: string) => T): T | undefined {
  if (typeof parameter !== 'string') return undefined;
  try {
    return parse(parameter);
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}
