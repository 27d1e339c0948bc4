import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { MAX_ACCOUNT_NAME_LENGTH } from '../../../accounts/users/account-name.js';
import { REGISTRY_ROLES, type RegistryRole } from '../../../database/entities/account.entity.js';
import { EXAMPLE_TIME } from '../../../oci/examples.js';
import { PageQueryDto } from '../../paging/page-query.dto.js';
import { EXAMPLE_ADMIN, EXAMPLE_GROUP } from '../examples.js';

const NULLABLE_TIME = { type: String, format: 'date-time', nullable: true, example: null } as const;

/** What users and robots have in common. */
export class AccountDto {
  @ApiProperty({
    enum: REGISTRY_ROLES,
    enumName: 'RegistryRole',
    nullable: true,
    description: '`admin` may do everything; `reader` reads the admin API; null: what its grants allow',
    example: null,
  })
  role: RegistryRole | null;

  @ApiProperty({ description: 'Whether it can not sign in', example: false })
  disabled: boolean;

  @ApiProperty({ ...NULLABLE_TIME, description: 'From when on it can not sign in; null: no end' })
  expiresAt: Date | null;

  @ApiProperty({ type: [String], description: 'Groups that it is a member of', example: [EXAMPLE_GROUP] })
  groups: string[];

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    description: 'Its secrets that neither expired nor were revoked',
    example: 1,
  })
  activeTokens: number;

  @ApiProperty({ ...NULLABLE_TIME, description: 'When one of its secrets was used last, to the minute' })
  tokenLastUsedAt: Date | null;

  @ApiProperty({ ...NULLABLE_TIME, description: 'When the next of its active secrets expires' })
  nextTokenExpiry: Date | null;

  @ApiProperty({ example: EXAMPLE_TIME })
  createdAt: Date;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Who created it; null if no account did',
    example: EXAMPLE_ADMIN,
  })
  createdBy: string | null;
}

/** The query parameters of a list of accounts. */
export class AccountsQueryDto extends PageQueryDto {
  @ApiPropertyOptional({
    type: String,
    maxLength: MAX_ACCOUNT_NAME_LENGTH,
    description: 'Prefix of the names, for example `ci-`',
  })
  @IsOptional()
  @IsString({ message: 'q: expected a single value' })
  @MaxLength(MAX_ACCOUNT_NAME_LENGTH, {
    message: `q: expected at most ${MAX_ACCOUNT_NAME_LENGTH} characters`,
  })
  @Matches(/^[a-z0-9._-]*$/, { message: 'q: expected the prefix of a name: a-z, 0-9, ".", "_", "-"' })
  q?: string | undefined;
}
