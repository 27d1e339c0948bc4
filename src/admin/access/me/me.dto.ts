import { ApiProperty } from '@nestjs/swagger';
import {
  ACCOUNT_KINDS,
  type AccountKind,
  REGISTRY_ROLES,
  type RegistryRole,
} from '../../../database/entities/account.entity.js';
import {
  GRANT_ROLES,
  GRANT_SUBJECTS,
  type GrantRole,
  type GrantSubject,
} from '../../../database/entities/grant.entity.js';
import { ACCESS_MODES, type AccessMode } from '../access-mode.js';
import { EXAMPLE_GROUP, EXAMPLE_PATTERN, EXAMPLE_USER } from '../examples.js';
import { CurrentPasswordProperty, PasswordProperty } from '../accounts/password-property.js';

const NULLABLE_TIME = { type: String, format: 'date-time', nullable: true, example: null } as const;

/** What the request signed in with. */
export class CredentialDto {
  @ApiProperty({ enum: ['none', 'password', 'secret'], enumName: 'CredentialKind', example: 'password' })
  kind: 'none' | 'password' | 'secret';

  @ApiProperty({ type: String, nullable: true, description: 'The id of the secret', example: null })
  tokenId: string | null;

  @ApiProperty({
    enum: ['pull'],
    nullable: true,
    description: '`pull`: this secret may pull, and read the admin API, whatever the account may do',
    example: null,
  })
  ceiling: 'pull' | null;

  @ApiProperty({ ...NULLABLE_TIME, description: 'When the secret expires; null: no end' })
  expiresAt: Date | null;
}

/** A grant that reaches the caller. */
export class OwnGrantDto {
  @ApiProperty({ description: '`a/b`, `a/b/**` (all below it) or `**`', example: EXAMPLE_PATTERN })
  pattern: string;

  @ApiProperty({ enum: GRANT_ROLES, enumName: 'GrantRole' })
  role: GrantRole;

  @ApiProperty({
    enum: GRANT_SUBJECTS,
    enumName: 'GrantSubject',
    description: 'Who was given it: the account, a group of it, every account, or everybody',
    example: 'group',
  })
  subject: GrantSubject;

  @ApiProperty({ type: String, nullable: true, description: 'The group', example: EXAMPLE_GROUP })
  group: string | null;
}

/** The caller. */
export class MeDto {
  @ApiProperty({
    enum: ACCESS_MODES,
    enumName: 'AccessMode',
    description:
      '`token`: access control. `open` and `loopback`: everybody may do everything, and credentials are ' +
      'ignored, so all other fields are empty',
    example: 'token',
  })
  access: AccessMode;

  @ApiProperty({ type: String, nullable: true, example: EXAMPLE_USER })
  name: string | null;

  @ApiProperty({ enum: ACCOUNT_KINDS, enumName: 'AccountKind', nullable: true, example: 'user' })
  kind: AccountKind | null;

  @ApiProperty({
    enum: REGISTRY_ROLES,
    enumName: 'RegistryRole',
    nullable: true,
    description: '`admin` may do everything; `reader` reads the admin API; null: what the grants allow',
    example: null,
  })
  role: RegistryRole | null;

  @ApiProperty({ ...NULLABLE_TIME, description: 'When the account expires; null: no end' })
  expiresAt: Date | null;

  @ApiProperty()
  credential: CredentialDto;

  @ApiProperty({ type: [OwnGrantDto], description: 'Sorted by pattern' })
  grants: OwnGrantDto[];
}

export class PasswordChangeDto {
  @CurrentPasswordProperty('currentPassword')
  currentPassword: string;

  @PasswordProperty('newPassword', 'The new password', { required: true })
  newPassword: string;
}
