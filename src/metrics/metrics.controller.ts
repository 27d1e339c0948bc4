import {
  Controller,
  Get,
  Header,
  Inject,
  NotFoundException,
  Res,
  ServiceUnavailableException,
} from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { OnRegistry } from '../access/access.js';
import { UnauthorizedError } from '../access/access.errors.js';
import { ApiProblem } from '../admin/problem.dto.js';
import { Configuration } from '../config/configuration.js';
import { METRICS_SOURCE, type MetricsSource } from '../observability/metrics/metrics-source.js';
import { METRICS_CONTENT_TYPE } from '../observability/metrics/registry.js';
import { RegistryError } from '../oci/errors.js';

const UNAVAILABLE = 'the metrics could not be collected';
const UNAUTHORIZED = new UnauthorizedError().message;

/** The metrics on the port of the registry, unless they have a listener of their own. */
@ApiTags('Metrics')
@ApiProblem(401, 'No credentials, or wrong ones; tokens of `/auth/token` are wrong here', UNAUTHORIZED)
@ApiProblem(
  403,
  'The account is no `reader`; or, where access is open on loopback, a request of another web page or for ' +
    'another host name',
  new RegistryError('DENIED').message,
)
@ApiProblem(500, 'A failure that the log explains; it has the request id', 'internal error')
@ApiProblem(503, 'The primary of this worker did not send the metrics in time', UNAVAILABLE)
@Controller('metrics')
export class MetricsController {
  constructor(
    @Inject(METRICS_SOURCE) private readonly source: MetricsSource,
    private readonly configuration: Configuration,
  ) {}

  @Get()
  @OnRegistry('metrics', 'read')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'getMetrics',
    summary: 'Get metrics for Prometheus',
    description:
      'Of all processes of this host. 404 if `METRICS_ADDRESS` puts them on a listener of their own',
  })
  @ApiOkResponse({ description: 'In the text format of Prometheus', content: { 'text/plain': {} } })
  async get(@Res() response: Response): Promise<void> {
    if (this.configuration.metricsAddress !== undefined) throw new NotFoundException();
    const body = Buffer.from(await this.text());
    response
      .writeHead(200, { 'Content-Type': METRICS_CONTENT_TYPE, 'Content-Length': body.length })
      .end(body);
  }

  private async text(): Promise<string> {
    try {
      return await this.source.text();
    } catch (cause) {
      throw new ServiceUnavailableException(UNAVAILABLE, { cause });
    }
  }
}
