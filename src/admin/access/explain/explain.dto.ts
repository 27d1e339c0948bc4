import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, Matches } from 'class-validator';
import type { RegistryAction, RegistryResource } from '../../../access/decide.js';
import { ACCOUNT_NAME, EXPECTED_ACCOUNT_NAME } from '../../../accounts/users/account-name.js';
import { REPOSITORY_ACTIONS, type RepositoryAction } from '../../../accounts/grants/role.js';
import {
  GRANT_ROLES,
  GRANT_SUBJECTS,
  type GrantRole,
  type GrantSubject,
} from '../../../database/entities/grant.entity.js';
import { EXAMPLE_REPOSITORY } from '../../../oci/examples.js';
import { EXAMPLE_GRANT_ID } from '../grants/grant.dto.js';
import { EXAMPLE_GROUP, EXAMPLE_MEMBER } from '../groups/group.dto.js';
import { MISSING, type Missing } from './explain.service.js';

export const REGISTRY_RESOURCES: readonly RegistryResource[] = ['catalog', 'admin', 'metrics'];
export const REGISTRY_ACTIONS: readonly RegistryAction[] = ['read', 'write'];
const ACTIONS: readonly (RepositoryAction | RegistryAction)[] = [...REPOSITORY_ACTIONS, ...REGISTRY_ACTIONS];

/** Who, and what. */
export class ExplainQueryDto {
  @ApiPropertyOptional({
    type: String,
    description: 'A user or robot; without it, callers without credentials',
  })
  @IsOptional()
  @Matches(ACCOUNT_NAME, { message: `account: ${EXPECTED_ACCOUNT_NAME}` })
  account?: string | undefined;

  @ApiPropertyOptional({
    type: String,
    description: 'The repository to act on. It need not exist',
  })
  @IsOptional()
  @IsString({ message: 'repository: expected a single value' })
  repository?: string | undefined;

  @ApiPropertyOptional({
    enum: REGISTRY_RESOURCES,
    description: 'Instead of a repository: the list of repositories, the admin API, or the metrics',
  })
  @IsOptional()
  @IsIn(REGISTRY_RESOURCES, { message: `registry: expected one of ${REGISTRY_RESOURCES.join(', ')}` })
  registry?: RegistryResource | undefined;

  @ApiProperty({
    enum: ACTIONS,
    description: 'On a repository `pull`, `push` or `delete`; on the registry `read` or `write`',
  })
  @IsIn(ACTIONS, { message: `action: expected one of ${ACTIONS.join(', ')}` })
  action: RepositoryAction | RegistryAction;
}

class ExplainedGrantDto {
  @ApiProperty({ example: EXAMPLE_GRANT_ID })
  id: string;

  @ApiProperty({ enum: GRANT_SUBJECTS, enumName: 'GrantSubject', example: 'group' })
  subject: GrantSubject;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The account or the group that has the grant; null for `signed-in` and `anonymous`',
    example: EXAMPLE_GROUP,
  })
  name: string | null;

  @ApiProperty({ example: 'demo/**' })
  pattern: string;

  @ApiProperty({ enum: GRANT_ROLES, enumName: 'GrantRole', example: 'push' })
  role: GrantRole;
}

export class ExplanationDto {
  @ApiProperty({ type: Boolean, example: true })
  isAllowed: boolean;

  @ApiProperty({
    enum: MISSING,
    enumName: 'MissingAccess',
    nullable: true,
    description:
      '`enabled`: the account is disabled; `time`: it has expired; `credentials`: there is no grant for ' +
      'anonymous callers; `grant`: no grant allows it; `role`: it takes a registry role; null: it is allowed',
    example: null,
  })
  missing: Missing | null;

  @ApiProperty({ type: [ExplainedGrantDto], description: 'The grants that allow it' })
  grants: ExplainedGrantDto[];

  @ApiProperty({
    description: 'The same in a sentence',
    example:
      `${EXAMPLE_MEMBER} may push ${EXAMPLE_REPOSITORY}: ` +
      `grant ${EXAMPLE_GRANT_ID} gives the group ${EXAMPLE_GROUP} the role push on demo/**`,
  })
  explanation: string;
}
