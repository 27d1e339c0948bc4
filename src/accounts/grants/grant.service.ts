import { Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import type { GrantRole } from '../../database/entities/grant.entity.js';
import type { Transaction } from '../../database/unit-of-work.js';
import { RegistryError } from '../../oci/errors.js';
import { AccessChanges } from '../rights/access-changes.js';
import type { AccountName } from '../users/account-name.js';
import { GroupStore } from '../groups/group.store.js';
import type { Pattern } from './pattern.js';
import { expectFewGrants } from './grant-limit.js';
import { type GrantHolder, GrantStore } from './grant.store.js';

/** Who gets a grant. */
export type NamedSubject =
  | { readonly subject: 'account' | 'group'; readonly name: AccountName }
  | { readonly subject: 'signed-in' | 'anonymous' };

export interface WantedGrant {
  readonly to: NamedSubject;
  readonly pattern: Pattern;
  readonly role: GrantRole;
}

/** There is no grant of this id. */
export class GrantUnknownError extends RegistryError {
  constructor(id: string) {
    super('NAME_UNKNOWN', `no grant has the id ${id}`);
  }
}

/** Changes grants. A change acts at once. */
@Injectable()
export class GrantService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly grants: GrantStore,
    private readonly groups: GroupStore,
    private readonly audit: AuditLog,
  ) {}

  /**
   * Gives a subject a role on a pattern. A subject has one role per pattern, so another one is replaced.
   *
   * @returns the id of the grant, and whether it is new.
   * @throws GroupUnknownError, AnyAccountUnknownError; ConflictException if too many grants would reach an
   *   account.
   */
  put(wanted: WantedGrant, origin: AuditOrigin): Promise<{ readonly id: string; readonly isNew: boolean }> {
    const { to, pattern, role } = wanted;
    return this.changes.run(async (transaction) => {
      const holder = await this.holderOf(transaction, to);
      const known = await this.grants.find(transaction, holder, pattern);
      const after = { subject: to.subject, pattern, role };
      const subject = 'name' in to ? to.name : to.subject;
      if (known === undefined) {
        const id = await this.grants.insert(transaction, holder, wanted, origin.actor);
        await expectFewGrants(transaction, 'id' in holder ? holder : { subject: 'everybody' });
        await this.audit.record(transaction, { action: 'grant.create', subject, after }, origin);
        return { id, isNew: true };
      }
      if (known.role !== role) {
        await this.grants.setRole(transaction, known.id, role);
        const before = { ...after, role: known.role };
        await this.audit.record(transaction, { action: 'grant.update', subject, before, after }, origin);
      }
      return { id: known.id, isNew: false };
    });
  }

  /** @throws GrantUnknownError */
  delete(id: string, origin: AuditOrigin): Promise<void> {
    return this.changes.run(async (transaction) => {
      const deleted = await this.grants.delete(transaction, id);
      if (deleted === undefined) throw new GrantUnknownError(id);
      const { subject, name, pattern, role } = deleted;
      const before = { subject, pattern, role };
      const event = { action: 'grant.delete', subject: name ?? subject, before } as const;
      await this.audit.record(transaction, event, origin);
    });
  }

  private async holderOf(transaction: Transaction, to: NamedSubject): Promise<GrantHolder> {
    if (!('name' in to)) return to;
    const { subject, name } = to;
    const id =
      subject === 'group'
        ? (await this.groups.get(transaction, name)).id
        : await this.groups.accountId(transaction, name);
    return { subject, id };
  }
}
