import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import {
  type AccountName,
  MAX_ACCOUNT_NAME_LENGTH,
  parseAccountName,
} from '../../../accounts/users/account-name.js';
import { EXAMPLE_TOKEN_ID } from '../examples.js';

@Injectable()
export class AccountNamePipe implements PipeTransform<unknown, AccountName> {
  transform(value: unknown): AccountName {
    return parseAccountName(String(value));
  }
}

/** Documents `{name}`. */
export const ApiAccountName = (example: string) =>
  ApiParam({ name: 'name', schema: { type: 'string', maxLength: MAX_ACCOUNT_NAME_LENGTH, example } });

/** The part of a secret that may be shown. */
export type TokenId = string & { readonly brand: 'TokenId' };

export const EXPECTED_TOKEN_ID = 'expected the id of a secret: a-z and 0-9, between the first two "_"';

/** @throws BadRequestException */
export function parseTokenId(text: string): TokenId {
  if (!/^[0-9a-z]{1,64}$/.test(text)) throw new BadRequestException(`id: ${EXPECTED_TOKEN_ID}`);
  return text as TokenId;
}

@Injectable()
export class TokenIdPipe implements PipeTransform<unknown, TokenId> {
  transform(value: unknown): TokenId {
    return parseTokenId(String(value));
  }
}

/** Documents `{id}` of a secret. */
export const ApiTokenId = () =>
  ApiParam({ name: 'id', schema: { type: 'string', maxLength: 64, example: EXAMPLE_TOKEN_ID } });
