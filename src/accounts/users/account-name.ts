import { BadRequestException } from '@nestjs/common';

/** The name of a user or a robot. Both are in one namespace, and a name is never used again. */
export type AccountName = string & { readonly brand: 'AccountName' };

/** Also the form of the names of groups. */
export const ACCOUNT_NAME = /^[a-z0-9][a-z0-9._-]{1,63}$/;
export const MAX_ACCOUNT_NAME_LENGTH = 64;
export const EXPECTED_ACCOUNT_NAME =
  'expected 2 to 64 characters of a-z, 0-9, ".", "_" and "-", the first one a letter or a digit';

export function isAccountName(text: string): text is AccountName {
  return ACCOUNT_NAME.test(text);
}

/** @throws BadRequestException */
export function parseAccountName(text: string): AccountName {
  if (!isAccountName(text)) throw new BadRequestException(`name: ${EXPECTED_ACCOUNT_NAME}`);
  return text;
}
