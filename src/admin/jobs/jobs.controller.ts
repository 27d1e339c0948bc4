import { Body, Get, HttpCode, HttpStatus, Param, Post, Put, Query, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../access/access.guard.js';
import { OnRegistry } from '../../access/access.js';
import { originOf } from '../../access/request-origin.js';
import { isRunning, JobRequests } from '../../jobs/job-requests.js';
import { JobUnknownError } from '../../jobs/job.errors.js';
import { Jobs } from '../../jobs/jobs.js';
import { parseRowId } from '../access/row-id.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { ApiMalformedParameter, ApiProblem } from '../problem.dto.js';
import {
  EXAMPLE_JOB,
  EXAMPLE_RUN,
  JobDto,
  JobListDto,
  JobPausedDto,
  JobRunDto,
  JobRunPageDto,
  NewJobRunDto,
} from './job.dto.js';
import { JobsQuery } from './jobs.query.js';

const CURSOR = new KeysetCursor('job-runs', parseRowId);

const ApiJobName = () =>
  ApiParam({ name: 'name', schema: { type: 'string', maxLength: 64, example: EXAMPLE_JOB } });

const ApiUnknownJob = () => ApiProblem(404, 'There is no such job', new JobUnknownError(EXAMPLE_JOB).message);

/** Background jobs. */
@AdminController('jobs', 'jobs')
export class JobsController {
  constructor(
    private readonly reader: JobsQuery,
    private readonly jobs: Jobs,
    private readonly requests: JobRequests,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'listJobs',
    summary: 'List background jobs, sorted by name',
    description: 'One process at a time runs a job, among all that share the database.',
  })
  @ApiOkResponse({ type: JobListDto, description: 'All jobs' })
  async list(): Promise<JobListDto> {
    return { items: await this.reader.describe(this.jobs.all) };
  }

  @Get(':name/runs')
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'listJobRuns',
    summary: 'List runs of a job, newest first',
    description:
      'Runs are kept for `JOB_HISTORY_SECONDS`. Runs that were due and found nothing to do are not kept: ' +
      'the job itself has the time of the last run.',
  })
  @ApiJobName()
  @ApiOkResponse({ type: JobRunPageDto, description: 'A page of runs' })
  @ApiMalformedParameter()
  @ApiUnknownJob()
  async listRuns(
    @Param('name') name: string,
    @Query() { limit, cursor }: PageQueryDto,
  ): Promise<JobRunPageDto> {
    const after = CURSOR.decode(cursor);
    const page = await this.reader.list(this.requests.expect(name).name, { after, limit });
    return CURSOR.pageDto(page, ({ id }) => id);
  }

  @Post(':name/runs')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({
    operationId: 'startJobRun',
    summary: 'Start a run of a job now',
    description: 'It starts at once, on one of the processes. Its progress is in the run.',
  })
  @ApiJobName()
  @ApiAcceptedResponse({ type: JobRunDto, description: 'The run' })
  @ApiProblem(400, 'The body is malformed, or the job has no dry run', 'dryRun: expected true or false')
  @ApiUnknownJob()
  @ApiProblem(
    409,
    'Another run of the job has not ended, or the job is paused',
    isRunning(EXAMPLE_JOB, EXAMPLE_RUN),
  )
  async run(
    @Param('name') name: string,
    @Body() { dryRun }: NewJobRunDto,
    @Req() request: AuthorizedRequest,
  ): Promise<JobRunDto> {
    return this.reader.getRun(await this.requests.run(name, dryRun, originOf(request)));
  }

  @Put(':name/paused')
  @OnRegistry('admin', 'write')
  @ApiOperation({
    operationId: 'setJobPaused',
    summary: 'Change whether a job is paused',
    description:
      'A paused job starts no runs. The run that has begun is asked to stop. When the job is resumed, a ' +
      'run starts at once if the stopped one was requested and no dry run, or if a purge or a restore has ' +
      'asked for one meanwhile.',
  })
  @ApiJobName()
  @ApiOkResponse({ type: JobDto, description: 'The job after the change' })
  @ApiProblem(400, 'The body is malformed', 'paused: expected true or false')
  @ApiUnknownJob()
  async setPaused(
    @Param('name') name: string,
    @Body() { paused }: JobPausedDto,
    @Req() request: AuthorizedRequest,
  ): Promise<JobDto> {
    const job = this.requests.expect(name);
    await this.requests.setPaused(job.name, paused, originOf(request));
    const [described] = await this.reader.describe([job]);
    if (described === undefined) throw new JobUnknownError(name);
    return described;
  }
}
