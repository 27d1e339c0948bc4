import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, Matches, ValidateIf } from 'class-validator';
import { ACCOUNT_NAME, EXPECTED_ACCOUNT_NAME } from '../../../accounts/users/account-name.js';
import {
  GRANT_ROLES,
  GRANT_SUBJECTS,
  type GrantRole,
  type GrantSubject,
} from '../../../database/entities/grant.entity.js';
import { EXAMPLE_TIME } from '../../../oci/examples.js';
import { NextCursorProperty } from '../../paging/next-cursor.property.js';
import { PageQueryDto } from '../../paging/page-query.dto.js';
import { EXAMPLE_GROUP } from '../groups/group.dto.js';

export const EXAMPLE_GRANT_ID = '42';
const EXAMPLE_PATTERN = 'demo/**';

const EXPECTED_SUBJECT = `subject: expected one of ${GRANT_SUBJECTS.join(', ')}`;
const EXPECTED_PATTERN = 'pattern: expected a text';

const SUBJECT = {
  enum: GRANT_SUBJECTS,
  enumName: 'GrantSubject',
  description:
    'Who has the grant: an account; each member of a group; every account (`signed-in`); ' +
    'every caller, also without credentials (`anonymous`)',
  example: 'group',
};
const PATTERN = {
  type: String,
  description:
    '`a/b`: the repository `a/b`; `a/b/**`: all repositories below it, but not itself; `**`: all repositories',
  example: EXAMPLE_PATTERN,
};
const ROLE = {
  enum: GRANT_ROLES,
  enumName: 'GrantRole',
  description: '`push` includes `pull`; `maintain` includes `push` and deletes. `anonymous` can only `pull`',
  example: 'push',
};

export class GrantDto {
  @ApiProperty({ example: EXAMPLE_GRANT_ID })
  id: string;

  @ApiProperty(SUBJECT)
  subject: GrantSubject;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The account or the group; null for `signed-in` and `anonymous`',
    example: EXAMPLE_GROUP,
  })
  name: string | null;

  @ApiProperty(PATTERN)
  pattern: string;

  @ApiProperty(ROLE)
  role: GrantRole;

  @ApiProperty({ example: EXAMPLE_TIME })
  createdAt: Date;

  @ApiProperty({ type: String, nullable: true, description: 'Who created it', example: 'admin' })
  createdBy: string | null;
}

export class GrantPageDto {
  @ApiProperty({ type: [GrantDto] })
  items: GrantDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class NewGrantDto {
  @ApiProperty(SUBJECT)
  @IsIn(GRANT_SUBJECTS, { message: EXPECTED_SUBJECT })
  subject: GrantSubject;

  @ApiPropertyOptional({
    type: String,
    description: 'The account or the group; only for these subjects',
    example: EXAMPLE_GROUP,
  })
  @ValidateIf((_, value) => value !== undefined)
  @Matches(ACCOUNT_NAME, { message: `name: ${EXPECTED_ACCOUNT_NAME}` })
  name?: string;

  @ApiProperty(PATTERN)
  @IsString({ message: EXPECTED_PATTERN })
  pattern: string;

  @ApiProperty(ROLE)
  @IsIn(GRANT_ROLES, { message: `role: expected one of ${GRANT_ROLES.join(', ')}` })
  role: GrantRole;
}

/** The query parameters of the list of grants. */
export class GrantsQueryDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: GRANT_SUBJECTS, description: 'Only grants of this kind of subject' })
  @IsOptional()
  @IsIn(GRANT_SUBJECTS, { message: EXPECTED_SUBJECT })
  subject?: GrantSubject | undefined;

  @ApiPropertyOptional({
    type: String,
    description: 'Only grants of this account or group; needs `subject=account` or `subject=group`',
  })
  @IsOptional()
  @Matches(ACCOUNT_NAME, { message: `name: ${EXPECTED_ACCOUNT_NAME}` })
  name?: string | undefined;

  @ApiPropertyOptional({ type: String, description: 'Only grants on exactly this pattern' })
  @IsOptional()
  @IsString({ message: EXPECTED_PATTERN })
  pattern?: string | undefined;
}
