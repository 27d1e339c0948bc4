import { pipeline } from 'node:stream/promises';
import { Controller, Delete, Get, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { OnRepository } from '../access/access.js';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { originOf } from '../access/request-origin.js';
import { BlobService } from '../blobs/blob.service.js';
import type { BlobContent } from '../blobs/blob-content.js';
import { Configuration } from '../config/configuration.js';
import { formatContentRange } from '../oci/byte-range.js';
import {
  allowsRange,
  formatEtag,
  hasDateOrMatch,
  preconditionOf,
  type Validators,
} from '../oci/conditional.js';
import type { Digest } from '../oci/digest.js';
import { PreconditionFailedError } from '../oci/errors.js';
import { formatHttpDate, parseHttpDate } from '../oci/http-date.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { type BlobDigest, isTarsum } from '../oci/tarsum.js';
import { requestKeyOf } from './idempotency-key.js';
import { BlobDeleteDocs, BlobGetDocs } from './openapi/blobs.docs.js';
import { MultipartByteranges } from '../transfer/multipart-byteranges.js';
import { ObjectSender } from '../transfer/object-sender.js';
import { BlobDigestParam, Repository } from './parameters.js';
import { sendEmpty, IMMUTABLE, abortOnClose, REVALIDATED } from './responses.js';
import { abortSlowReader } from '../transfer/slow-reader.js';

/** Layers and configs (spec.md, "Pulling blobs" and "Deleting Blobs": end-2, end-10). */
@Controller('v2')
export class BlobsController {
  constructor(
    private readonly blobs: BlobService,
    private readonly sender: ObjectSender,
    private readonly configuration: Configuration,
  ) {}

  @Get('*name/blobs/:digest')
  @OnRepository('pull')
  @BlobGetDocs()
  async get(
    @Repository() repository: RepositoryName,
    @BlobDigestParam() named: BlobDigest,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const digest = await this.blobs.resolve(repository, named);
    const headers = {
      'Docker-Content-Digest': digest,
      ETag: formatEtag(digest),
      'Cache-Control': isTarsum(named) ? REVALIDATED : IMMUTABLE,
      'Accept-Ranges': 'bytes',
    };
    const validators = await this.validators(repository, named, digest, request);
    const precondition = preconditionOf(request.headers, validators);
    if (precondition === 'failed') throw new PreconditionFailedError();
    if (precondition === 'not modified' || request.method === 'HEAD') {
      const { sizeBytes, linkedAtSeconds } = await this.blobs.stat(repository, digest);
      const dated = { ...headers, 'Last-Modified': formatHttpDate(linkedAtSeconds) };
      if (precondition === 'not modified') return sendEmpty(response, 304, dated);
      response.writeHead(200, { ...dated, 'Content-Type': BLOB_TYPE, 'Content-Length': sizeBytes }).end();
      return;
    }
    const range = allowsRange(request.get('if-range'), validators) ? request.get('range') : undefined;
    const signal = abortOnClose(response);
    const content = await this.blobs.content(repository, digest, range, { signal });
    await this.send(content, response, headers);
  }

  /** Only a date in a request, or `If-Match`, costs a query: usually the date is found with the blob. */
  private async validators(
    repository: RepositoryName,
    named: BlobDigest,
    digest: Digest,
    request: Request,
  ): Promise<Validators> {
    const etag = formatEtag(digest);
    const isInRange = parseHttpDate(request.get('if-range') ?? '') !== undefined;
    if (!isInRange && !hasDateOrMatch(request.headers)) return { etag, modifiedAtSeconds: undefined };
    const linkedAtSeconds = await this.blobs.linkedAtSeconds(repository, digest);
    // Another blob with this tarsum may have the same date, or an earlier one.
    return { etag, modifiedAtSeconds: isTarsum(named) ? undefined : linkedAtSeconds };
  }

  @Delete('*name/blobs/:digest')
  @OnRepository('delete')
  @BlobDeleteDocs()
  async delete(
    @Repository() repository: RepositoryName,
    @BlobDigestParam() named: BlobDigest,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    await this.blobs.delete(repository, named, originOf(request), requestKeyOf(request));
    sendEmpty(response, 202, {});
  }

  private async send(content: BlobContent, response: Response, headers: BlobHeaders): Promise<void> {
    if (content.kind === 'redirect') {
      // The URL is short-lived and a credential, so the response must not be cached.
      sendEmpty(response, 307, {
        Location: content.url.href,
        'Cache-Control': 'no-store',
        'Docker-Content-Digest': headers['Docker-Content-Digest'],
      });
      return;
    }
    const dated = { ...headers, 'Last-Modified': formatHttpDate(content.linkedAtSeconds) };
    try {
      this.limitReadingTime(content.kind, response);
      if (content.spans.length === 1) await this.sendOne(content, response, dated);
      else await this.sendSeveral(content, response, dated);
    } finally {
      if (content.kind === 'object') await content.object.close();
    }
  }

  private async sendOne(content: LocalContent, response: Response, headers: BlobHeaders): Promise<void> {
    const { sizeBytes, isPartial } = content;
    const [span] = content.spans;
    response.writeHead(isPartial ? 206 : 200, {
      ...headers,
      'Content-Type': BLOB_TYPE,
      'Content-Length': span.end - span.start + 1,
      ...(isPartial && { 'Content-Range': formatContentRange(span, sizeBytes) }),
    });
    if (content.kind === 'bytes') response.end(content.bytes.subarray(span.start, span.end + 1));
    else if (content.kind === 'stream') await pipeline(content.stream, response);
    else await this.sender.send(content.object, span, response);
  }

  private async sendSeveral(content: LocalContent, response: Response, headers: BlobHeaders): Promise<void> {
    const body = new MultipartByteranges(content.spans, content.sizeBytes, BLOB_TYPE);
    const { contentType, sizeBytes } = body;
    response.writeHead(206, { ...headers, 'Content-Type': contentType, 'Content-Length': sizeBytes });
    if (content.kind === 'bytes') response.end(body.ofBytes(content.bytes));
    else if (content.kind === 'stream')
      await pipeline(body.ofStreams(content.stream, content.read), response);
    else await this.sender.send(body.ofObject(content.object), { start: 0, end: sizeBytes - 1 }, response);
  }

  /**
   * A client that stops reading without closing would keep the object open. The time starts only now: the
   * storage has timeouts of its own, and their errors still need a response.
   */
  private limitReadingTime(kind: BlobContent['kind'], response: Response): void {
    const { requestIdleTimeoutSeconds, requestMinBytesPerSecond } = this.configuration;
    // The kernel takes nearly all of a small blob at once: measuring the rate would cost more than it saves.
    const minBytesPerSecond = kind === 'bytes' ? 0 : requestMinBytesPerSecond;
    abortSlowReader(response, requestIdleTimeoutSeconds * 1000, minBytesPerSecond);
  }
}

const BLOB_TYPE = 'application/octet-stream';

type LocalContent = Exclude<BlobContent, { kind: 'redirect' }>;

type BlobHeaders = Readonly<
  Record<'Docker-Content-Digest' | 'ETag' | 'Cache-Control' | 'Accept-Ranges', string>
>;
