import { Injectable, Logger } from '@nestjs/common';
import { CHECK_NAMES, type CheckName, type CheckStatus, type Finding } from './check.js';
import { DatabaseChecks } from './database-checks.js';
import { StorageChecks } from './storage-checks.js';

export type Checks = Record<CheckName, CheckStatus>;

/**
 * - `degraded`: pulls are served and pushes refused, because a disk is full;
 * - `stopping`: requests in progress are finished, and no new ones should be sent;
 * - `unavailable`: a check failed.
 */
export const READINESS_STATUSES = ['ok', 'degraded', 'stopping', 'unavailable'] as const;

export interface Readiness {
  readonly status: (typeof READINESS_STATUSES)[number];
  readonly checks: Checks;
}

/**
 * Checks whether requests can be served now. A full disk counts as ready, because it still serves pulls, and
 * a load balancer would remove all replicas that share it. So does a schema that a newer version has changed:
 * migrations are made for that.
 */
@Injectable()
export class ReadinessService {
  private readonly logger = new Logger('Readiness');
  private readonly last: Record<CheckName, CheckStatus> = {
    database: 'ok',
    migrations: 'ok',
    storage: 'ok',
    identity: 'ok',
  };
  private isStopping = false;

  constructor(
    private readonly database: DatabaseChecks,
    private readonly storage: StorageChecks,
  ) {}

  /** From now on this process is not ready. */
  stop(): void {
    this.isStopping = true;
  }

  /** Never rejects; takes at most `CHECK_TIMEOUT_MS`. Only the log has the reason of a failure. */
  async check(): Promise<Readiness> {
    const [database, storage] = await Promise.all([this.database.run(), this.storage.run()]);
    const identity = worse(database.identity, storage.identity);
    const findings = { ...database, ...storage, identity };
    for (const name of CHECK_NAMES) this.logTransition(name, findings[name]);
    const checks = {
      database: findings.database.status,
      migrations: findings.migrations.status,
      storage: findings.storage.status,
      identity: findings.identity.status,
    };
    return { status: this.statusOf(Object.values(checks)), checks };
  }

  private statusOf(found: readonly CheckStatus[]): Readiness['status'] {
    if (found.includes('failed')) return 'unavailable';
    if (this.isStopping) return 'stopping';
    return found.includes('full') ? 'degraded' : 'ok';
  }

  /** Logs changes only: probes come every few seconds. */
  private logTransition(name: CheckName, { status, reason }: Finding): void {
    if (status === 'unknown' || this.last[name] === status) return;
    this.last[name] = status;
    switch (status) {
      case 'failed':
        return this.logger.error({ err: reason }, `not ready: the ${name} check failed`);
      case 'full':
        return this.logger.error({ err: reason }, `the ${name} is full; pulls still work`);
      case 'newer':
        return this.logger.warn(`${reason?.message}: upgrade this replica, too`);
      case 'ok':
        return this.logger.warn(`the ${name} check passes again`);
    }
  }
}

function worse(one: Finding, other: Finding): Finding {
  const findings = [one, other];
  return (
    findings.find(({ status }) => status === 'failed') ??
    findings.find(({ status }) => status === 'unknown') ??
    one
  );
}
