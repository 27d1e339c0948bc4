import { BadRequestException, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnRegistry } from '../../../access/access.js';
import type { Question } from '../../../access/decide.js';
import { parseAccountName } from '../../../accounts/users/account-name.js';
import { AnyAccountUnknownError } from '../../../accounts/groups/group.errors.js';
import { REPOSITORY_ACTIONS } from '../../../accounts/grants/role.js';
import { parseRepositoryName } from '../../../oci/repository-name.js';
import { AdminController } from '../../admin-controller.js';
import { ApiProblem } from '../../problem.dto.js';
import { EXAMPLE_MEMBER } from '../groups/group.dto.js';
import { ExplainQueryDto, ExplanationDto, REGISTRY_ACTIONS } from './explain.dto.js';
import { ExplainService } from './explain.service.js';

const EXPECTED_ONE = 'expected either repository or registry';

/** Why a caller may do something, or may not. */
@AdminController('access', 'grants')
export class ExplainController {
  constructor(private readonly explanations: ExplainService) {}

  @Get('explain')
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'explainAccess',
    summary: 'Show whether an account may do something, and why',
    description:
      'What access control says to the account with its password: a token or a secret may allow less. ' +
      'Where access is open, this is what it would say in the mode `token`. The answer depends on names ' +
      'only, not on whether the repository exists.',
  })
  @ApiOkResponse({ type: ExplanationDto, description: 'The decision with its reasons' })
  @ApiProblem(400, 'A parameter is malformed or missing', EXPECTED_ONE)
  @ApiProblem(404, 'There is no such account', new AnyAccountUnknownError(EXAMPLE_MEMBER).message)
  async explain(@Query() query: ExplainQueryDto): Promise<ExplanationDto> {
    const account = query.account === undefined ? undefined : parseAccountName(query.account);
    const explanation = await this.explanations.explain(account, questionOf(query));
    const grants = explanation.grants.map(({ id, subject, group, pattern, role }) => ({
      id,
      subject,
      name: subject === 'account' ? (account ?? null) : group,
      pattern,
      role,
    }));
    return { ...explanation, grants };
  }
}

/** @throws BadRequestException, NameInvalidError */
function questionOf({ repository, registry, action }: ExplainQueryDto): Question {
  if ((repository === undefined) === (registry === undefined)) throw new BadRequestException(EXPECTED_ONE);
  if (repository !== undefined) {
    const known = REPOSITORY_ACTIONS.find((each) => each === action);
    if (known === undefined)
      throw new BadRequestException(`action: expected on a repository ${REPOSITORY_ACTIONS.join(', ')}`);
    return { repository: parseRepositoryName(repository), action: known };
  }
  const known = REGISTRY_ACTIONS.find((each) => each === action);
  if (known === undefined || registry === undefined)
    throw new BadRequestException(`action: expected on the registry ${REGISTRY_ACTIONS.join(', ')}`);
  return { registry, action: known };
}
