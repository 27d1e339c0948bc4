import { Delete, Get, HttpCode, HttpStatus, Param, Query, Req } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import { OnRegistry } from '../../access/access.js';
import type { AuthorizedRequest } from '../../access/access.guard.js';
import { originOf } from '../../access/request-origin.js';
import { ERROR_CODES } from '../../oci/error-codes.js';
import { EXAMPLE_UPLOAD_ID } from '../../oci/examples.js';
import { parseUploadId, type UploadId } from '../../oci/upload-id.js';
import { UploadService } from '../../uploads/upload.service.js';
import { AdminController } from '../admin-controller.js';
import { EventCursor } from '../events/event-cursor.js';
import { UploadEventPageDto } from '../events/event.dto.js';
import { EventsQueryDto } from '../events/events-query.dto.js';
import { UploadEventsQuery } from '../events/upload-events.query.js';
import { SortedCursor } from '../paging/sorted-cursor.js';
import { UploadIdPipe } from '../path-parameters.js';
import { ApiMalformedParameter, ApiProblem } from '../problem.dto.js';
import { UploadDto, UploadPageDto, UploadsQueryDto } from './upload.dto.js';
import { UploadsQuery } from './uploads.query.js';

const CURSOR = new SortedCursor('uploads', 'id', parseUploadId);

const EVENTS_CURSOR = new EventCursor('upload-events');

const ApiUploadId = () =>
  ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid', example: EXAMPLE_UPLOAD_ID } });

/** Uploads in progress. */
@AdminController('uploads', 'uploads')
export class AdminUploadsController {
  constructor(
    private readonly reader: UploadsQuery,
    private readonly events: UploadEventsQuery,
    private readonly uploads: UploadService,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listUploads', summary: 'List uploads in progress' })
  @ApiOkResponse({ type: UploadPageDto, description: 'A page of uploads' })
  @ApiMalformedParameter()
  async list(@Query() { limit, cursor, sort }: UploadsQueryDto): Promise<UploadPageDto> {
    const page = await this.reader.list({ sort, after: CURSOR.decode(sort, cursor), limit });
    return CURSOR.pageDto(page, sort, ({ id }) => id);
  }

  @Get(':id')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'getUpload', summary: 'Show one upload in progress' })
  @ApiUploadId()
  @ApiOkResponse({ type: UploadDto, description: 'The upload' })
  @ApiProblem(400, 'The id is malformed', 'id: expected a UUID')
  @ApiProblem(404, 'No such upload is in progress', ERROR_CODES.BLOB_UPLOAD_UNKNOWN)
  get(@Param('id', UploadIdPipe) id: UploadId): Promise<UploadDto> {
    return this.reader.get(id);
  }

  @Get(':id/events')
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'listUploadEvents',
    summary: "Show an upload's history, newest first",
    description:
      'Which requests started, continued and lost it, on which replica and from which client, how far it ' +
      'came, and how it ended. Events are kept for `UPLOAD_EVENT_RETENTION_SECONDS`, longer than the upload ' +
      'itself. An unknown upload has none.',
  })
  @ApiUploadId()
  @ApiOkResponse({ type: UploadEventPageDto, description: 'A page of events' })
  @ApiMalformedParameter()
  async listEvents(
    @Param('id', UploadIdPipe) id: UploadId,
    @Query() { since, until, cursor, limit }: EventsQueryDto,
  ): Promise<UploadEventPageDto> {
    const after = EVENTS_CURSOR.decode(cursor);
    return EVENTS_CURSOR.pageDto(await this.events.ofUpload(id, { since, until, after, limit }));
  }

  /** Asks the current writer to release the session first, as every writer does. */
  @Delete(':id')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({ operationId: 'cancelUpload', summary: 'Cancel an upload and delete its bytes' })
  @ApiUploadId()
  @ApiNoContentResponse({ description: 'The upload is cancelled' })
  @ApiProblem(400, 'The id is malformed', 'id: expected a UUID')
  @ApiProblem(404, 'No such upload is in progress', ERROR_CODES.BLOB_UPLOAD_UNKNOWN)
  @ApiProblem(
    429,
    'Its writer does not release it; retry after `Retry-After`',
    'another request is writing to this upload',
  )
  async cancel(@Param('id', UploadIdPipe) id: UploadId, @Req() request: AuthorizedRequest): Promise<void> {
    const { repository } = await this.reader.get(id);
    await this.uploads.cancel({ repository, id }, originOf(request));
  }
}
