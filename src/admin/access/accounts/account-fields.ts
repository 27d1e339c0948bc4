import { applyDecorators, BadRequestException } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsOptional, Matches, ValidateIf } from 'class-validator';
import {
  ACCOUNT_NAME,
  EXPECTED_ACCOUNT_NAME,
  MAX_ACCOUNT_NAME_LENGTH,
} from '../../../accounts/users/account-name.js';
import { SECRET_LIFETIME_DAYS } from '../../../accounts/secrets/secret.service.js';
import { REGISTRY_ROLES } from '../../../database/entities/account.entity.js';
import { IsTime } from '../../time.js';

/** The `name` of a new account. */
export const NameProperty = (example: string) =>
  applyDecorators(
    ApiProperty({
      type: String,
      pattern: ACCOUNT_NAME.source,
      maxLength: MAX_ACCOUNT_NAME_LENGTH,
      description: 'Users and robots have different names, and names of deleted ones are never used again',
      example,
    }),
    Matches(ACCOUNT_NAME, { message: `name: ${EXPECTED_ACCOUNT_NAME}` }),
  );

/** The registry `role` in a body. */
export const RoleProperty = () =>
  applyDecorators(
    ApiPropertyOptional({
      enum: REGISTRY_ROLES,
      enumName: 'RegistryRole',
      nullable: true,
      description: '`admin` may do everything; `reader` reads the admin API; null: what its grants allow',
      example: null,
    }),
    IsOptional(),
    IsIn(REGISTRY_ROLES, { message: `role: expected ${REGISTRY_ROLES.join(', ')} or null` }),
  );

/** A time in a body, or null. See {@link futureTime}. */
export const ExpiryProperty = (name: string, description: string) =>
  applyDecorators(
    ApiPropertyOptional({ type: String, format: 'date-time', nullable: true, description }),
    IsOptional(),
    IsTime(name, '2030-01-31T12:00:00Z'),
  );

/** A boolean in a body that may be absent, but not null. */
export const FlagProperty = (name: string, description: string) =>
  applyDecorators(
    ApiPropertyOptional({ type: Boolean, description }),
    ValidateIf((_, value) => value !== undefined),
    IsBoolean({ message: `${name}: expected true or false` }),
  );

/** @throws BadRequestException for a time that is over. */
export function futureTime<T extends null | undefined>(name: string, text: string | T): Date | T {
  if (typeof text !== 'string') return text;
  const time = new Date(text);
  if (time.getTime() <= Date.now()) {
    throw new BadRequestException(`${name}: expected a time in the future`);
  }
  return time;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** When a new secret expires: null means never. @throws BadRequestException for a time that is over. */
export function secretExpiry(name: string, text: string | null | undefined): Date | null {
  return text === undefined
    ? new Date(Date.now() + SECRET_LIFETIME_DAYS * DAY_MS)
    : futureTime<null>(name, text);
}
