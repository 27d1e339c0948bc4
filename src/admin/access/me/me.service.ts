import { Injectable } from '@nestjs/common';
import type { Caller, Credential } from '../../../access/caller.js';
import { LiveRights } from '../../../accounts/rights/live-rights.js';
import { Configuration } from '../../../config/configuration.js';
import type { CredentialDto, MeDto } from './me.dto.js';

/** Describes the caller of a request. */
@Injectable()
export class MeService {
  constructor(
    private readonly configuration: Configuration,
    private readonly rights: LiveRights,
  ) {}

  async describe(caller: Caller): Promise<MeDto> {
    const { account } = caller;
    return {
      access: this.configuration.access,
      name: caller.name,
      kind: account?.kind ?? null,
      role: account?.registryRole ?? null,
      expiresAt: account?.expiresAt ?? null,
      credential: await this.describeCredential(caller.credential),
      grants: caller.grants.grants
        .map(({ pattern, role, subject, group }) => ({ pattern, role, subject, group }))
        .sort((a, b) => (a.pattern < b.pattern ? -1 : a.pattern > b.pattern ? 1 : 0)),
    };
  }

  private async describeCredential(credential: Credential): Promise<CredentialDto> {
    switch (credential.kind) {
      case 'secret': {
        const secret = await this.rights.secret(credential.id);
        const { ceiling = null, expiresAt = null } = secret ?? {};
        return { kind: 'secret', tokenId: credential.id, ceiling, expiresAt };
      }
      case 'password':
        return { kind: 'password', tokenId: null, ceiling: null, expiresAt: null };
      default:
        // The admin API takes no tokens.
        return { kind: 'none', tokenId: null, ceiling: null, expiresAt: null };
    }
  }
}
