import { ApiProperty, ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { IsIn, IsOptional, Matches } from 'class-validator';
import { SECRET_LIFETIME_DAYS } from '../../../accounts/secrets/secret.service.js';
import { EXAMPLE_TIME } from '../../../oci/examples.js';
import { NextCursorProperty } from '../../paging/next-cursor.property.js';
import { PageQueryDto } from '../../paging/page-query.dto.js';
import { SortProperty } from '../../paging/sort.property.js';
import { ExpiryProperty } from '../accounts/account-fields.js';
import { EXAMPLE_ADMIN, EXAMPLE_ROBOT, EXAMPLE_SECRET, EXAMPLE_TOKEN_ID } from '../examples.js';
import { TOKEN_SORTS, type TokenSort } from './tokens.query.js';
import { usageOf } from './usage.js';

const CEILING = {
  enum: ['pull'],
  nullable: true,
  description: '`pull`: logins with the secret may pull, and read the admin API, whatever the account may do',
  example: null,
} as const;

const STATES = ['active', 'expired', 'revoked'] as const;

/** A secret of an account. Its text is in the response to its creation only. */
export class TokenDto {
  @ApiProperty({ description: 'The part of the secret that may be shown', example: EXAMPLE_TOKEN_ID })
  id: string;

  @ApiProperty({ description: 'What its owner calls it', example: 'build server' })
  name: string;

  @ApiProperty({ enum: STATES, enumName: 'TokenState' })
  state: (typeof STATES)[number];

  @ApiProperty(CEILING)
  ceiling: 'pull' | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'Null: it does not expire',
    example: EXAMPLE_TIME,
  })
  expiresAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'To the minute; null: never',
    example: EXAMPLE_TIME,
  })
  lastUsedAt: Date | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  revokedAt: Date | null;

  @ApiProperty({ example: EXAMPLE_TIME })
  createdAt: Date;

  @ApiProperty({ type: String, nullable: true, example: EXAMPLE_ADMIN })
  createdBy: string | null;
}

export class TokenPageDto {
  @ApiProperty({ type: [TokenDto] })
  items: TokenDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class TokensQueryDto extends PageQueryDto {
  @SortProperty(TOKEN_SORTS, 'By id, or by the time of the creation.')
  sort: TokenSort = 'id';
}

export class NewTokenDto {
  @ApiProperty({ type: String, maxLength: 64, description: 'What it is for', example: 'build server' })
  @Matches(/^[^\p{C}]{1,64}$/u, { message: 'name: expected 1 to 64 characters, without control characters' })
  name: string;

  @ExpiryProperty('expiresAt', `Default: in ${SECRET_LIFETIME_DAYS} days. Null: it does not expire`)
  expiresAt?: string | null;

  @ApiPropertyOptional(CEILING)
  @IsOptional()
  @IsIn(['pull'], { message: 'ceiling: expected pull or null' })
  ceiling?: 'pull' | null;
}

const USAGE = usageOf({ scheme: 'https', host: 'registry.example' }, EXAMPLE_ROBOT, EXAMPLE_SECRET);

/** Lines to paste. */
export class UsageDto {
  @ApiProperty({ description: 'For a shell', example: USAGE.docker })
  docker: string;

  @ApiProperty({ description: 'For a shell', example: USAGE.podman })
  podman: string;

  @ApiProperty({ description: 'For a shell, and for the pods', example: USAGE.kubernetes })
  kubernetes: string;

  @ApiProperty({ description: 'A step of a job, and how to store the secret', example: USAGE.githubActions })
  githubActions: string;
}

export class CreatedTokenDto extends OmitType(TokenDto, [
  'state',
  'lastUsedAt',
  'revokedAt',
  'createdAt',
  'createdBy',
]) {
  @ApiProperty({
    description: "The secret, which is shown only now: the password of a login with the account's name",
    example: EXAMPLE_SECRET,
  })
  secret: string;

  @ApiProperty({ description: 'Lines to paste, with the secret, for the address that was called' })
  usage: UsageDto;
}
