import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ProbeConnection } from '../database/connection/probe-connection.js';
import { DatabaseSpace } from '../database/database-space.js';
import { compareSchema } from '../database/schema-comparison.js';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import { StorageIdentityError } from '../storage/storage.errors.js';
import { BoundedProbe } from './bounded-probe.js';
import { CHECK_TIMEOUT_MS, failed, type Finding, OK, UNKNOWN } from './check.js';

/** One round trip. */
const FACTS = `
  SELECT (SELECT array_agg(name::text) FROM migrations) AS applied,
         (SELECT id FROM storage_identity WHERE is_only_row) AS identity`;
const UNDEFINED_TABLE = '42P01';

/** A type, not an interface: rows have an index signature. */
type Facts = {
  /** The names of the migrations that have run; null without any. */
  readonly applied: string[] | null;
  readonly identity: string | null;
};

interface Found {
  /** Undefined if the database lacks the tables. */
  readonly facts: Facts | undefined;
  readonly isFull: boolean;
}

/** Checks the database: whether it responds, has the schema of this version, and belongs to the storage. */
@Injectable()
export class DatabaseChecks {
  private readonly probe = new BoundedProbe(() => this.look(), CHECK_TIMEOUT_MS);

  constructor(
    private readonly connection: ProbeConnection,
    private readonly space: DatabaseSpace,
    private readonly identity: StorageIdentity,
    private readonly dataSource: DataSource,
  ) {}

  /** Never rejects. */
  async run(): Promise<Record<'database' | 'migrations' | 'identity', Finding>> {
    const outcome = await this.probe.outcome();
    if ('failure' in outcome)
      return { database: failed(outcome.failure), migrations: UNKNOWN, identity: UNKNOWN };
    const { facts, isFull } = outcome.found;
    const database: Finding = isFull ? { status: 'full' } : OK;
    const migrations = this.compareMigrations(facts?.applied ?? []);
    return { database, migrations, identity: facts === undefined ? UNKNOWN : this.compareIdentity(facts) };
  }

  private async look(): Promise<Found> {
    const [facts] = await this.connection.query<Facts>(FACTS).catch((error: unknown) => {
      if ((Object(error) as { code?: unknown }).code === UNDEFINED_TABLE) return [];
      throw error;
    });
    return { facts, isFull: await this.space.isFull() };
  }

  private compareMigrations(applied: readonly string[]): Finding {
    const { missing, unknown } = compareSchema(this.dataSource, applied);
    if (missing.length > 0) {
      const names = missing.slice(0, 3).join(', ');
      return failed(
        new Error(
          `the database lacks ${missing.length} migrations of this version (${names}): ` +
            'it is another one, or an older backup; restart Berth, which runs them',
        ),
      );
    }
    if (unknown.length === 0) return OK;
    return {
      status: 'newer',
      reason: new Error(`the database has migrations that this version does not know: ${unknown.join(', ')}`),
    };
  }

  private compareIdentity({ identity }: Facts): Finding {
    try {
      this.identity.expectDatabase(identity ?? undefined);
      return OK;
    } catch (error) {
      if (error instanceof StorageIdentityError) return failed(error);
      throw error;
    }
  }
}
