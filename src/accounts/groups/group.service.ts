import { ConflictException, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import { AccessChanges } from '../rights/access-changes.js';
import type { AccountName } from '../users/account-name.js';
import { expectFewGrants } from '../grants/grant-limit.js';
import { MemberUnknownError } from './group.errors.js';
import { GroupStore, type NewGroup } from './group.store.js';

/** Changes groups and their members. A change acts at once on what its members may do. */
@Injectable()
export class GroupService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly groups: GroupStore,
    private readonly audit: AuditLog,
  ) {}

  /** @throws ConflictException if the name is taken. */
  create(group: NewGroup, origin: AuditOrigin): Promise<void> {
    const { name, description } = group;
    return this.changes.run(async (transaction) => {
      if (!(await this.groups.insert(transaction, group, origin.actor)))
        throw new ConflictException(`the name ${name} belongs to another group`);
      const event = { action: 'group.create', subject: name, after: { description } } as const;
      await this.audit.record(transaction, event, origin);
    });
  }

  /** @throws GroupUnknownError */
  update(name: AccountName, description: string, origin: AuditOrigin): Promise<void> {
    return this.changes.run(async (transaction) => {
      const group = await this.groups.get(transaction, name);
      if (group.description === description) return;
      await this.groups.setDescription(transaction, group.id, description);
      const [before, after] = [{ description: group.description }, { description }];
      await this.audit.record(transaction, { action: 'group.update', subject: name, before, after }, origin);
    });
  }

  /** Deletes a group with its grants. Its members remain. @throws GroupUnknownError */
  delete(name: AccountName, origin: AuditOrigin): Promise<void> {
    return this.changes.run(async (transaction) => {
      const { id, description } = await this.groups.get(transaction, name);
      const before = { description, ...(await this.groups.contentsOf(transaction, id)) };
      await this.groups.delete(transaction, id);
      await this.audit.record(transaction, { action: 'group.delete', subject: name, before }, origin);
    });
  }

  /**
   * Idempotent.
   *
   * @throws GroupUnknownError, AnyAccountUnknownError; ConflictException if too many grants would reach the
   *   account.
   */
  addMember(name: AccountName, account: AccountName, origin: AuditOrigin): Promise<void> {
    return this.changes.run(async (transaction) => {
      const { id } = await this.groups.get(transaction, name);
      const accountId = await this.groups.accountId(transaction, account);
      if (!(await this.groups.addMember(transaction, id, accountId))) return;
      await expectFewGrants(transaction, { subject: 'account', id: accountId });
      const event = { action: 'group.member.add', subject: name, after: { account } } as const;
      await this.audit.record(transaction, event, origin);
    });
  }

  /** @throws GroupUnknownError, AnyAccountUnknownError, MemberUnknownError */
  removeMember(name: AccountName, account: AccountName, origin: AuditOrigin): Promise<void> {
    return this.changes.run(async (transaction) => {
      const { id } = await this.groups.get(transaction, name);
      const accountId = await this.groups.accountId(transaction, account);
      if (!(await this.groups.removeMember(transaction, id, accountId)))
        throw new MemberUnknownError(name, account);
      const event = { action: 'group.member.remove', subject: name, before: { account } } as const;
      await this.audit.record(transaction, event, origin);
    });
  }
}
