import { Get, HttpCode, HttpStatus, Param, Post, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../access/access.guard.js';
import { OnRegistry } from '../../access/access.js';
import { originOf } from '../../access/request-origin.js';
import { hasEnded, JobRequests } from '../../jobs/job-requests.js';
import { JobRunUnknownError } from '../../jobs/job.errors.js';
import { parseRowId } from '../access/row-id.js';
import { AdminController } from '../admin-controller.js';
import { ApiProblem } from '../problem.dto.js';
import { EXAMPLE_RUN, JobRunDto } from './job.dto.js';
import { JobsQuery } from './jobs.query.js';

const ApiRunId = () => ApiParam({ name: 'id', schema: { type: 'string', example: EXAMPLE_RUN } });

const ApiMalformedRunId = () => ApiProblem(400, 'The id is malformed', 'id: expected a number');

const ApiUnknownRun = () =>
  ApiProblem(404, 'There is no such run, or not any more', new JobRunUnknownError(EXAMPLE_RUN).message);

/** Runs of background jobs. */
@AdminController('job-runs', 'jobs')
export class JobRunsController {
  constructor(
    private readonly reader: JobsQuery,
    private readonly requests: JobRequests,
  ) {}

  @Get(':id')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'getJobRun', summary: 'Show one run of a job, with its progress' })
  @ApiRunId()
  @ApiOkResponse({ type: JobRunDto, description: 'The run' })
  @ApiMalformedRunId()
  @ApiUnknownRun()
  get(@Param('id') id: string): Promise<JobRunDto> {
    return this.reader.getRun(parseRowId(id));
  }

  @Post(':id/stop')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({
    operationId: 'stopJobRun',
    summary: 'Stop a run of a job',
    description: 'It ends after its current batch, and keeps what it has done. A queued run ends at once.',
  })
  @ApiRunId()
  @ApiAcceptedResponse({ type: JobRunDto, description: 'The run' })
  @ApiMalformedRunId()
  @ApiUnknownRun()
  @ApiProblem(409, 'The run has ended', hasEnded(EXAMPLE_RUN))
  async stop(@Param('id') text: string, @Req() request: AuthorizedRequest): Promise<JobRunDto> {
    const id = parseRowId(text);
    await this.requests.stop(id, originOf(request));
    return this.reader.getRun(id);
  }
}
