import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Matches, ValidateIf } from 'class-validator';
import {
  ACCOUNT_NAME,
  EXPECTED_ACCOUNT_NAME,
  MAX_ACCOUNT_NAME_LENGTH,
} from '../../../accounts/users/account-name.js';
import { ACCOUNT_KINDS, type AccountKind } from '../../../database/entities/account.entity.js';
import { EXAMPLE_TIME } from '../../../oci/examples.js';
import { NextCursorProperty } from '../../paging/next-cursor.property.js';

export const EXAMPLE_GROUP = 'developers';
export const EXAMPLE_MEMBER = 'alice';

const MAX_DESCRIPTION_LENGTH = 256;
const EXPECTED_DESCRIPTION = `description: expected a text of at most ${MAX_DESCRIPTION_LENGTH} characters, without control characters`;
/** PostgreSQL stores neither U+0000 nor halves of surrogate pairs. */
const DESCRIPTION_TEXT = new RegExp(`^[^\\p{Cc}\\p{Cs}]{0,${MAX_DESCRIPTION_LENGTH}}$`, 'u');
const DESCRIPTION = {
  type: String,
  maxLength: MAX_DESCRIPTION_LENGTH,
  description: 'For people',
  example: 'Everybody who builds images',
} as const;

export class GroupDto {
  @ApiProperty({ example: EXAMPLE_GROUP })
  name: string;

  @ApiProperty(DESCRIPTION)
  description: string;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Number of its members', example: 12 })
  memberCount: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Number of its grants', example: 2 })
  grantCount: number;

  @ApiProperty({ example: EXAMPLE_TIME })
  createdAt: Date;

  @ApiProperty({ type: String, nullable: true, description: 'Who created it', example: 'admin' })
  createdBy: string | null;
}

export class GroupPageDto {
  @ApiProperty({ type: [GroupDto] })
  items: GroupDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class NewGroupDto {
  @ApiProperty({
    type: String,
    pattern: ACCOUNT_NAME.source,
    maxLength: MAX_ACCOUNT_NAME_LENGTH,
    description: 'Of the form of an account name. A group and an account may have the same name',
    example: EXAMPLE_GROUP,
  })
  @Matches(ACCOUNT_NAME, { message: `name: ${EXPECTED_ACCOUNT_NAME}` })
  name: string;

  @ApiPropertyOptional({ ...DESCRIPTION, default: '' })
  @ValidateIf((_, value) => value !== undefined)
  @Matches(DESCRIPTION_TEXT, { message: EXPECTED_DESCRIPTION })
  description: string = '';
}

export class GroupChangeDto {
  @ApiProperty(DESCRIPTION)
  @Matches(DESCRIPTION_TEXT, { message: EXPECTED_DESCRIPTION })
  description: string;
}

export class MemberDto {
  @ApiProperty({ description: 'The name of the account', example: EXAMPLE_MEMBER })
  name: string;

  @ApiProperty({ enum: ACCOUNT_KINDS, enumName: 'AccountKind', example: 'user' })
  kind: AccountKind;

  @ApiProperty({ description: 'Since when it is a member', example: EXAMPLE_TIME })
  addedAt: Date;
}

export class MemberPageDto {
  @ApiProperty({ type: [MemberDto] })
  items: MemberDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
