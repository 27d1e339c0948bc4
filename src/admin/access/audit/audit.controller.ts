import { BadRequestException, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnRegistry } from '../../../access/access.js';
import { type AuditAction, actionsOf } from '../../../audit/audit-actions.js';
import { parseRepositoryName } from '../../../oci/repository-name.js';
import { AdminController } from '../../admin-controller.js';
import { EventCursor } from '../../events/event-cursor.js';
import { ApiMalformedParameter } from '../../problem.dto.js';
import { AuditEventPageDto, AuditQueryDto, EXPECTED_ACTION } from './audit.dto.js';
import { AuditQuery } from './audit.query.js';

const CURSOR = new EventCursor('audit');

/** The audit log. */
@AdminController('audit', 'audit')
export class AuditController {
  constructor(private readonly audit: AuditQuery) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'listAuditEvents',
    summary: 'List events of the audit log, newest first',
    description:
      'Changes of access, logins, failed logins, deletions and cross-repository mounts: who, when, from ' +
      'where, and what was there before and after. Pushes are in the history of tags and uploads. Events ' +
      'are kept for `AUDIT_RETENTION_SECONDS`.',
  })
  @ApiOkResponse({ type: AuditEventPageDto, description: 'A page of events' })
  @ApiMalformedParameter()
  async list(@Query() query: AuditQueryDto): Promise<AuditEventPageDto> {
    const { actor, action, repository, since, until, cursor, limit } = query;
    const filters = {
      actor,
      repository: repository === undefined ? undefined : parseRepositoryName(repository),
      actions: action === undefined ? undefined : expectActions(action),
    };
    const after = CURSOR.decode(cursor);
    return CURSOR.pageDto(await this.audit.list(filters, { since, until, after, limit }));
  }
}

function expectActions(prefix: string): readonly AuditAction[] {
  const actions = actionsOf(prefix);
  if (actions.length === 0) throw new BadRequestException(EXPECTED_ACTION);
  return actions;
}
