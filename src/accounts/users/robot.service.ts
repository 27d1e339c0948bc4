import { BadRequestException, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import type { RegistryRole } from '../../database/entities/account.entity.js';
import type { GrantRole } from '../../database/entities/grant.entity.js';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';
import { AccessChanges } from '../rights/access-changes.js';
import { auditedSettings } from './account-history.js';
import type { AccountName } from './account-name.js';
import { AccountStore } from './account.store.js';
import { expectFewGrants } from '../grants/grant-limit.js';
import type { Pattern } from '../grants/pattern.js';
import { type IssuedSecret, type SecretOptions, SecretService } from '../secrets/secret.service.js';

export interface NewRobot {
  readonly name: AccountName;
  readonly role: RegistryRole | null;
  readonly grants: readonly { readonly pattern: Pattern; readonly role: GrantRole }[];
  readonly secret: SecretOptions;
}

const INSERT_GRANTS = `
  INSERT INTO grants (subject, account_id, pattern, role, created_by)
  SELECT 'account', $1, pattern, role, $4 FROM unnest($2::text[], $3::text[]) AS g (pattern, role)`;

/** Makes robots: accounts of programs. They have no password, only secrets. */
@Injectable()
export class RobotService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly accounts: AccountStore,
    private readonly secrets: SecretService,
    private readonly audit: AuditLog,
  ) {}

  /**
   * Makes a robot with its grants and its first secret, all or nothing.
   *
   * @throws ConflictException if the name belongs, or belonged, to an account, or if too many grants would
   *   reach the robot; BadRequestException for two grants with one pattern.
   */
  create({ name, role, grants, secret }: NewRobot, origin: AuditOrigin): Promise<IssuedSecret> {
    refuseRepeated(grants);
    return this.changes.run(async (transaction) => {
      const settings = { role, expiresAt: null };
      const robot = {
        name,
        kind: 'robot',
        ...settings,
        passwordHash: null,
        createdBy: origin.actor,
      } as const;
      const id = await this.accounts.insert(transaction, robot);
      const after = { kind: 'robot', ...auditedSettings({ ...settings, disabled: false }) };
      await this.audit.record(transaction, { action: 'account.create', subject: name, after }, origin);
      await this.insertGrants(transaction, id, name, grants, origin);
      return this.secrets.insert(transaction, { id, name }, secret, origin);
    });
  }

  private async insertGrants(
    transaction: Transaction,
    id: string,
    name: AccountName,
    grants: NewRobot['grants'],
    origin: AuditOrigin,
  ): Promise<void> {
    const [patterns, roles] = [grants.map(({ pattern }) => pattern), grants.map(({ role }) => role)];
    await queryRows(transaction, INSERT_GRANTS, [id, patterns, roles, origin.actor]);
    await expectFewGrants(transaction, { subject: 'account', id });
    for (const grant of grants) {
      const after = { subject: 'account', ...grant };
      await this.audit.record(transaction, { action: 'grant.create', subject: name, after }, origin);
    }
  }
}

/** @throws BadRequestException */
function refuseRepeated(grants: NewRobot['grants']): void {
  const patterns = new Set<Pattern>();
  for (const { pattern } of grants) {
    if (patterns.has(pattern)) throw new BadRequestException(`grants: the pattern ${pattern} is there twice`);
    patterns.add(pattern);
  }
}
