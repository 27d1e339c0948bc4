import { pipeline } from 'node:stream/promises';
import { Controller, Delete, Get, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { OnRepository } from '../access/access.js';
import { BlobService } from '../blobs/blob.service.js';
import type { BlobRecord } from '../blobs/blob.store.js';
import { Configuration } from '../config/configuration.js';
import { formatContentRange, parseByteRange } from '../oci/byte-range.js';
import { allowsRange, formatEtag, matchesEtag } from '../oci/conditional.js';
import type { Digest } from '../oci/digest.js';
import { RangeNotSatisfiableError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { ByteSpan } from '../storage/storage-driver.js';
import { BlobDeleteDocs, BlobGetDocs } from './openapi/blobs.docs.js';
import { ObjectSender } from '../transfer/object-sender.js';
import { DigestParam, Repository } from './parameters.js';
import { answerEmpty, IMMUTABLE, untilClosed } from './responses.js';
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
    @DigestParam() digest: Digest,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const found = await this.blobs.find(repository, digest);
    const etag = formatEtag(digest);
    const isKept = matchesEtag(request.headers['if-none-match'], etag);
    // A GET that opens the object finds out by itself. All other answers would speak of an object that may be
    // lost.
    const opens =
      request.method === 'GET' && !isKept && !this.blobs.redirects && !this.blobs.isInMemory(found);
    const blob = opens ? found : await this.blobs.expectPresent(found, digest);
    const headers = {
      'Docker-Content-Digest': digest,
      ETag: etag,
      'Cache-Control': IMMUTABLE,
      'Accept-Ranges': 'bytes',
    };
    if (isKept) return answerEmpty(response, 304, headers);
    const elsewhere = request.method === 'GET' ? await this.blobs.redirect(blob) : undefined;
    if (elsewhere !== undefined) {
      // The URL is short-lived and a credential: what is true of the content isn't true of this answer.
      const location = {
        Location: elsewhere.href,
        'Cache-Control': 'no-store',
        'Docker-Content-Digest': digest,
      };
      answerEmpty(response, 307, location);
      return;
    }
    const span = requestedSpan(request, blob.sizeBytes, etag);
    const length = span === undefined ? blob.sizeBytes : span.end - span.start + 1;
    const all = {
      ...headers,
      'Content-Type': 'application/octet-stream',
      'Content-Length': length,
      ...(span && { 'Content-Range': formatContentRange(span.start, span.end, blob.sizeBytes) }),
    };
    if (request.method === 'HEAD') {
      response.writeHead(200, all).end();
      return;
    }
    const send = (each: BlobRecord) =>
      this.send(each, span, response, () => response.writeHead(span === undefined ? 200 : 206, all));
    try {
      await send(blob);
    } catch (error) {
      if (response.headersSent || response.destroyed) throw error;
      const other = await this.blobs.findAfter(error, repository, digest, blob);
      if (other === undefined) throw error;
      await send(other);
    }
    // Bytes from memory say nothing of the object.
    if (opens) this.blobs.notePresent(digest);
  }

  @Delete('*name/blobs/:digest')
  @OnRepository('delete')
  @BlobDeleteDocs()
  async delete(
    @Repository() repository: RepositoryName,
    @DigestParam() digest: Digest,
    @Res() response: Response,
  ): Promise<void> {
    await this.blobs.delete(repository, digest);
    answerEmpty(response, 202, {});
  }

  private async send(
    blob: BlobRecord,
    span: ByteSpan | undefined,
    response: Response,
    writeHead: () => void,
  ): Promise<void> {
    const signal = untilClosed(response);
    const begin = () => {
      // A client that stops reading without closing would hold on to the object for ever. Not sooner than
      // this: the storage has deadlines of its own, and when it misses them its client is to get an answer.
      const { requestIdleTimeoutSeconds, requestMinBytesPerSecond } = this.configuration;
      abortSlowReader(response, requestIdleTimeoutSeconds * 1000, requestMinBytesPerSecond);
      writeHead();
    };
    const small = await this.blobs.readSmall(blob, { signal });
    if (small !== undefined) {
      // The kernel takes all of it at once, or nearly: a rate would cost more than it brings.
      response.setTimeout(this.configuration.requestIdleTimeoutSeconds * 1000, () => response.destroy());
      writeHead();
      response.end(span === undefined ? small : small.subarray(span.start, span.end + 1));
      return;
    }
    const all = span ?? { start: 0, end: blob.sizeBytes - 1 };
    const object = await this.blobs.open(blob, { signal });
    if (object === undefined) {
      // As a span, so that an object of another size than its row fails before the head is written.
      const bytes = await this.blobs.read(blob, all, { signal });
      begin();
      await pipeline(bytes, response);
      return;
    }
    try {
      begin();
      await this.sender.send(object, all, response);
    } finally {
      await object.close();
    }
  }
}

/** The span that the client wants, or nothing for the whole. @throws RangeNotSatisfiableError */
function requestedSpan(request: Request, size: number, etag: string): ByteSpan | undefined {
  if (request.method !== 'GET' || !allowsRange(request.get('if-range'), etag)) return undefined;
  const range = parseByteRange(request.get('range'), size);
  if (range.kind === 'unsatisfiable') {
    throw new RangeNotSatisfiableError(size);
  }
  return range.kind === 'span' ? range : undefined;
}
