import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsString, MaxLength, ValidateBy, ValidateIf } from 'class-validator';
import { isMeantAsSecret } from '../../../accounts/secrets/secret.js';
import { isPassword, PASSWORD_RULE } from '../../../config/password.js';
import { EXAMPLE_PASSWORD } from '../examples.js';

/** A new password in a body. A secret is none: logins take texts of its form for secrets. */
export const PasswordProperty = (name: string, description: string, { required = false } = {}) =>
  applyDecorators(
    ApiProperty({
      type: String,
      format: 'password',
      required,
      description: `${description}. 12 to 256 bytes`,
      example: EXAMPLE_PASSWORD,
    }),
    ValidateIf((_, value) => required || value !== undefined),
    ValidateBy({
      name: 'password',
      validator: {
        validate: (value: unknown) => isPassword(value) && !isMeantAsSecret(value),
        defaultMessage: () => `${name}: ${PASSWORD_RULE}`,
      },
    }),
  );

/** The password that a user has, whatever its form. */
export const CurrentPasswordProperty = (name: string) => {
  const message = `${name}: expected your password`;
  return applyDecorators(
    ApiProperty({
      type: String,
      format: 'password',
      description: 'Your password until now',
      example: EXAMPLE_PASSWORD,
    }),
    IsString({ message }),
    MaxLength(1_024, { message }),
  );
};
