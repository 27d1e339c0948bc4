import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsIn, IsObject, IsString, ValidateIf, ValidateNested } from 'class-validator';
import { SECRET_LIFETIME_DAYS } from '../../../accounts/secrets/secret.service.js';
import type { RegistryRole } from '../../../database/entities/account.entity.js';
import { GRANT_ROLES, type GrantRole } from '../../../database/entities/grant.entity.js';
import { NextCursorProperty } from '../../paging/next-cursor.property.js';
import { AccountDto } from '../accounts/account.dto.js';
import { ExpiryProperty, FlagProperty, NameProperty, RoleProperty } from '../accounts/account-fields.js';
import { EXAMPLE_PATTERN, EXAMPLE_ROBOT } from '../examples.js';
import { CreatedTokenDto } from '../tokens/token.dto.js';

const MAX_GRANTS = 1_000;
const EXPECTED_GRANTS = 'grants: expected objects with pattern and role';

export class RobotDto extends AccountDto {
  @ApiProperty({ example: EXAMPLE_ROBOT })
  name: string;
}

export class RobotPageDto {
  @ApiProperty({ type: [RobotDto] })
  items: RobotDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

/** A role on the repositories that a pattern matches. */
export class RobotGrantDto {
  @ApiProperty({
    type: String,
    description: '`a/b`: one repository; `a/b/**`: all below it; `**`: all',
    example: EXAMPLE_PATTERN,
  })
  @IsString({ message: 'grants: expected a pattern in each' })
  pattern: string;

  @ApiProperty({ enum: GRANT_ROLES, enumName: 'GrantRole', example: 'push' })
  @IsIn(GRANT_ROLES, { message: `grants: expected in each a role, one of ${GRANT_ROLES.join(', ')}` })
  role: GrantRole;
}

export class NewRobotDto {
  @NameProperty(EXAMPLE_ROBOT)
  name: string;

  @RoleProperty()
  role?: RegistryRole | null;

  @ApiPropertyOptional({
    type: [RobotGrantDto],
    maxItems: MAX_GRANTS,
    description: 'What it may do; it can get further grants later, also through groups',
  })
  @ValidateIf((_, value) => value !== undefined)
  @ArrayMaxSize(MAX_GRANTS, { message: `grants: expected at most ${MAX_GRANTS}` })
  @IsArray({ message: 'grants: expected a list' })
  @ValidateNested({ each: true, message: EXPECTED_GRANTS })
  // An empty list in the list has nothing that the rule above could refuse.
  @IsObject({ each: true, message: EXPECTED_GRANTS })
  @Type(() => RobotGrantDto)
  grants: RobotGrantDto[] = [];

  @ExpiryProperty(
    'tokenExpiresAt',
    `When its first secret expires. Default: in ${SECRET_LIFETIME_DAYS} days. Null: it does not expire`,
  )
  tokenExpiresAt?: string | null;
}

export class CreatedRobotDto extends RobotDto {
  @ApiProperty({ description: 'Its first secret' })
  token: CreatedTokenDto;
}

/** What is absent stays as it is. */
export class RobotChangeDto {
  @RoleProperty()
  role?: RegistryRole | null;

  @FlagProperty('disabled', 'Whether it can not sign in')
  disabled?: boolean;

  @ExpiryProperty('expiresAt', 'From when on it can not sign in; null: no end')
  expiresAt?: string | null;

  @FlagProperty('revokeTokens', 'Whether all its secrets are revoked')
  revokeTokens?: boolean;
}
