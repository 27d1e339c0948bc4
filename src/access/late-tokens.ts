import { Inject, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import type { DataSource } from 'typeorm';
import { OUTAGE_MS } from '../accounts/rights/access-epoch.js';
import { READS } from '../database/connection/connections.js';
import { outlastOutage } from '../database/outlast-outage.js';
import { queryRows } from '../database/query-rows.js';
import { RegistryError } from '../oci/errors.js';
import { parseUploadId } from '../oci/upload-id.js';
import type { AccessRequirement } from './access.js';
import { UnauthorizedError } from './access.errors.js';
import type { Caller } from './caller.js';

/**
 * What a token is still good for in the 24 hours after its end. Clients don't get another one in the middle
 * of a layer: the layer would fail at its end, most of all behind a proxy that buffers it.
 *
 * - An upload session that its own account began. Anonymous callers have no account.
 * - The rest of a blob (`Range` with `If-Range`), for a proxy that continues a long pull.
 *
 * Rights apply as always.
 */
@Injectable()
export class LateTokens {
  constructor(@Inject(READS) private readonly reads: DataSource) {}

  /** @throws UnauthorizedError unless the request continues what the caller began. */
  async refuseOthers(request: Request, requirement: AccessRequirement, caller: Caller): Promise<void> {
    const isContinued =
      (await this.isOwnSession(request, requirement, caller)) || isRestOfBlob(request, requirement);
    if (!isContinued) throw new UnauthorizedError('the token has expired', 'invalid_token');
  }

  private async isOwnSession(
    { params }: Request,
    requirement: AccessRequirement,
    { name }: Caller,
  ): Promise<boolean> {
    if (requirement.type !== 'repository' || !requirement.isSession || name === null) return false;
    const id = uploadIdOf(params['uploadId']);
    if (id === undefined) return false;
    const sql = 'SELECT FROM uploads WHERE id = $1 AND created_by = $2';
    const rows = await outlastOutage(OUTAGE_MS, () => queryRows(this.reads.manager, sql, [id, name]));
    return rows.length > 0;
  }
}

function isRestOfBlob(request: Request, requirement: AccessRequirement): boolean {
  const { headers, method, params, socket, app } = request;
  return (
    requirement.type === 'repository' &&
    requirement.action === 'pull' &&
    method === 'GET' &&
    params['digest'] !== undefined &&
    headers.range !== undefined &&
    headers['if-range'] !== undefined &&
    trusts(app, socket.remoteAddress)
  );
}

/** Whether the address is one of `TRUSTED_PROXIES`, which Express has compiled into a function. */
function trusts(app: Request['app'], address: string | undefined): boolean {
  const isTrusted = app.get('trust proxy fn') as (address: string | undefined, hop: number) => boolean;
  return isTrusted(address, 0);
}

function uploadIdOf(parameter: unknown): string | undefined {
  try {
    return parseUploadId(String(parameter).split('&')[0] ?? '');
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}
