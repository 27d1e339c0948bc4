import { ApiProperty, type ApiPropertyOptions, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsString, ValidateIf } from 'class-validator';
import { EXISTING_NAMES, type ExistingNames } from '../../../accounts/users/user-import.service.js';
import type { RegistryRole } from '../../../database/entities/account.entity.js';
import { NextCursorProperty } from '../../paging/next-cursor.property.js';
import { AccountDto } from '../accounts/account.dto.js';
import { ExpiryProperty, FlagProperty, NameProperty, RoleProperty } from '../accounts/account-fields.js';
import { EXAMPLE_HTPASSWD, EXAMPLE_PASSWORD, EXAMPLE_USER } from '../examples.js';
import { PasswordProperty } from '../accounts/password-property.js';

export class UserDto extends AccountDto {
  @ApiProperty({ example: EXAMPLE_USER })
  name: string;

  @ApiProperty({ description: 'Whether it can sign in with a password', example: true })
  hasPassword: boolean;
}

export class UserPageDto {
  @ApiProperty({ type: [UserDto] })
  items: UserDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class NewUserDto {
  @NameProperty(EXAMPLE_USER)
  name: string;

  @RoleProperty()
  role?: RegistryRole | null;

  @PasswordProperty('password', 'Without it, Berth makes one and returns it')
  password?: string;

  @ExpiryProperty('expiresAt', 'From when on it can not sign in; null, the default: no end')
  expiresAt?: string | null;
}

export class CreatedUserDto extends UserDto {
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The password that Berth made, which is shown only now; null if the request had one',
    example: EXAMPLE_PASSWORD,
  })
  password: string | null;
}

/** What is absent stays as it is. */
export class UserChangeDto {
  @RoleProperty()
  role?: RegistryRole | null;

  @FlagProperty('disabled', 'Whether it can not sign in')
  disabled?: boolean;

  @ExpiryProperty('expiresAt', 'From when on it can not sign in; null: no end')
  expiresAt?: string | null;

  @PasswordProperty('password', 'A new password. Logins with the old one, and the tokens that they got, end')
  password?: string;

  @FlagProperty('revokeTokens', 'Whether all its secrets are revoked')
  revokeTokens?: boolean;
}

export class UserImportDto {
  @ApiProperty({
    type: String,
    description: 'Lines `name:hash` with hashes of bcrypt, as `htpasswd -B` writes them',
    example: EXAMPLE_HTPASSWD,
  })
  @IsString({ message: 'htpasswd: expected the text of a file with lines name:hash' })
  htpasswd: string;

  @ApiPropertyOptional({
    enum: EXISTING_NAMES,
    enumName: 'ExistingNames',
    default: 'refuse',
    description:
      'What happens to names that are taken. `refuse`: nothing is imported. `skip`: their lines are ignored. ' +
      '`update`: users get the new password; the names of robots and of deleted accounts are still refused',
  })
  @ValidateIf((_, value) => value !== undefined)
  @IsIn(EXISTING_NAMES, { message: `existing: expected one of ${EXISTING_NAMES.join(', ')}` })
  existing: ExistingNames = 'refuse';
}

const names = (description: string, example: string[]): ApiPropertyOptions => ({
  type: [String],
  description,
  example,
});

export class UserImportResultDto {
  @ApiProperty(names('Names of the users that were created', [EXAMPLE_USER]))
  created: string[];

  @ApiProperty(names('Names of the users that got the new password', []))
  updated: string[];

  @ApiProperty(names('Names that were taken and skipped', []))
  skipped: string[];
}
