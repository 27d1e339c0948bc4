import { applyDecorators } from '@nestjs/common';
import { EXPECTED_ACCOUNT_NAME } from '../../../accounts/users/account-name.js';
import { AccountUnknownError } from '../../../accounts/users/account-unknown.error.js';
import { describeHolder } from '../../../accounts/users/account.store.js';
import { LAST_ADMIN } from '../../../accounts/users/keep-an-admin.js';
import { SecretUnknownError } from '../../../accounts/secrets/secret-unknown.error.js';
import { tooManySecrets } from '../../../accounts/secrets/secret.service.js';
import type { AccountKind } from '../../../database/entities/account.entity.js';
import { ApiProblem } from '../../problem.dto.js';
import { EXAMPLE_ROBOT, EXAMPLE_USER } from '../examples.js';

const EXAMPLES: Readonly<Record<AccountKind, string>> = { user: EXAMPLE_USER, robot: EXAMPLE_ROBOT };

export const ApiMalformedAccountName = () =>
  ApiProblem(400, 'The name is malformed', `name: ${EXPECTED_ACCOUNT_NAME}`);

/** @param detail what is wrong with a body. */
export const ApiMalformedBody = (detail = `name: ${EXPECTED_ACCOUNT_NAME}`) =>
  applyDecorators(
    ApiProblem(400, 'The body, or a parameter, is malformed', detail),
    ApiProblem(413, 'The body is larger than 64 KiB', 'the body is larger than 65536 bytes'),
    ApiProblem(415, 'The body is not JSON', "the body's type must be application/json"),
  );

export const ApiUnknownAccount = (kind: AccountKind) =>
  ApiProblem(404, `There is no such ${kind}`, new AccountUnknownError(kind, EXAMPLES[kind]).message);

export const ApiUnknownToken = () =>
  ApiProblem(404, 'There is no such secret, or it was revoked before', new SecretUnknownError().message);

export const ApiTakenName = (kind: AccountKind) =>
  ApiProblem(
    409,
    'The name belongs, or belonged, to a user or a robot',
    describeHolder({ name: EXAMPLES[kind], kind, deletedAt: null }),
  );

export const ApiTakenNames = () =>
  ApiProblem(
    409,
    'Names belong, or belonged, to accounts',
    `nothing was imported: line 1: ${describeHolder({ name: EXAMPLE_USER, kind: 'user', deletedAt: null })}`,
  );

export const ApiLastAdmin = () =>
  ApiProblem(409, 'The registry would lose its last admin that can sign in without an end', LAST_ADMIN);

export const ApiTooManyTokens = () =>
  ApiProblem(409, 'The account has too many secrets', tooManySecrets(EXAMPLE_ROBOT));
