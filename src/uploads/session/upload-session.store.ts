import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../../database/query-rows.js';
import type { DriverUploadState } from '../../storage/storage-driver.js';
import { leavingEvent } from '../../events/upload-events.js';
import { progressParameters, SESSION_COLUMNS, toSession, type UploadRow } from './upload-row.js';
import type { Claimant, Lease, UploadProgress, UploadReference, UploadSession } from './upload-session.js';

const LEASE_END = `clock_timestamp() + $3::float8 * interval '1 second'`;

/** A session that was taken. */
export interface Taking {
  readonly session: UploadSession;
  readonly lease: Lease;
  /** Whether a writer before never let go, and hasn't been shut out: it may be writing still. */
  readonly isAbandoned: boolean;
}

/**
 * The rows of upload sessions, as those who write to them change them. Every change of a session is one UPDATE that names the
 * fencing version of its writer: when it changes no row, the writer is fenced, and the method answers `false`. Times are
 * the database's own, so replicas need no common clock.
 */
@Injectable()
export class UploadSessionStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Right when it is repeated, the answer having been lost. */
  async insert(reference: UploadReference, progress: UploadProgress, claimant: Claimant): Promise<void> {
    const { createdBy, clientAddress, userAgent } = claimant.by;
    const { id, repository } = reference;
    const { midstates, driverState } = progress;
    const insert = `INSERT INTO uploads (id, repository, midstates, driver_state, created_by, client_address, user_agent, last_holder)
       VALUES ($1, $2, $3::jsonb, $4::jsonb, $5, $6, $7, $8)
       ON CONFLICT (id) DO NOTHING
       RETURNING id, offset_bytes`;
    const state = [JSON.stringify(midstates), JSON.stringify(driverState)];
    await this.query(
      ...leavingEvent(
        insert,
        [id, repository, ...state, createdBy, clientAddress, userAgent, claimant.replica],
        {
          kind: `'started'`,
          who: claimant,
        },
      ),
    );
  }

  async find({ repository, id }: UploadReference): Promise<UploadSession | undefined> {
    const sql = `SELECT ${SESSION_COLUMNS} FROM uploads WHERE id = $1 AND repository = $2`;
    const [row] = await this.query<UploadRow>(sql, [id, repository]);
    return row && toSession(row);
  }

  /**
   * Takes a session that nobody holds, whose holder's lease has lapsed, or whose holder is `gone`, as far as anybody can tell. Raises
   * the fencing version. Answers nothing where somebody else holds it, or where it isn't there to be written.
   */
  async acquire(
    { repository, id }: UploadReference,
    claimant: Claimant,
    gone?: Pick<UploadSession, 'leaseHolder' | 'version'>,
  ): Promise<Taking | undefined> {
    // Locked first: what the row said of its holder before has to be known, too.
    const take = `UPDATE uploads u
          SET version = version + 1, lease_holder = $4, last_holder = $4, lease_expires_at = ${LEASE_END}, updated_at = now(),
              abandoned = abandoned OR abandoned_by IS NOT NULL
         FROM (SELECT id AS free_id, lease_holder AS abandoned_by, last_holder AS previous_holder
                 FROM uploads
                WHERE id = $1 AND repository = $2 AND state IN ('open', 'committing')
                  AND (lease_holder IS NULL OR lease_expires_at < clock_timestamp() OR (lease_holder = $5 AND version = $6))
                  FOR UPDATE) free
        WHERE u.id = free_id
        RETURNING ${SESSION_COLUMNS}, abandoned, abandoned_by, previous_holder`;
    const { replica, leaseSeconds } = claimant;
    const [row] = await this.query<UploadRow & { abandoned: boolean }>(
      ...leavingEvent(take, [id, repository, leaseSeconds, replica, gone?.leaseHolder, gone?.version], {
        kind: `CASE WHEN abandoned_by IS NULL THEN 'resumed' ELSE 'takeover' END`,
        // A client whose chunks go round would leave a `resumed` with each.
        when: `abandoned_by IS NOT NULL
          OR (previous_holder <> lease_holder AND (version <= 32 OR version & (version - 1) = 0))`,
        who: claimant,
      }),
    );
    if (row === undefined) return undefined;
    const session = toSession(row);
    const lease = { ...claimant, uploadId: id, version: session.version, takenAt: performance.now() };
    return { session, lease, isAbandoned: row.abandoned };
  }

  /** Records the driver's state after a writer before was shut out. Right when it is repeated, or comes late. False: fenced. */
  async recordFence({ uploadId, version }: Lease, driverState: DriverUploadState): Promise<boolean> {
    const sql = `UPDATE uploads SET driver_state = $3::jsonb, abandoned = false
                  WHERE id = $1 AND version = $2 AND state = 'open' AND (abandoned OR driver_state = $3::jsonb)
                  RETURNING id`;
    return (await this.query(sql, [uploadId, version, JSON.stringify(driverState)])).length > 0;
  }

  /**
   * Records durable progress, and prolongs the lease or lets go of it. Right when it is repeated; one that was given up and comes late, after
   * another one, takes nothing back. False: fenced, nothing was recorded.
   */
  async checkpoint(
    lease: Lease,
    progress: UploadProgress,
    { letGo = false, leaveEvent = false } = {},
  ): Promise<boolean> {
    const update = `UPDATE uploads
          SET offset_bytes = $4, midstates = $5::jsonb, driver_state = $6::jsonb,
              lease_expires_at = ${LEASE_END}, updated_at = now(),
              lease_holder = CASE WHEN $3::float8 IS NULL THEN NULL ELSE lease_holder END
        WHERE id = $1 AND version = $2 AND state = 'open' AND offset_bytes <= $4
        RETURNING id, offset_bytes`;
    const { uploadId, version, leaseSeconds } = lease;
    const parameters = [uploadId, version, letGo ? null : leaseSeconds, ...progressParameters(progress)];
    const statement = leaveEvent
      ? leavingEvent(update, parameters, { kind: `'checkpoint'`, who: lease })
      : ([update, parameters] satisfies [string, unknown[]]);
    return (await this.query(...statement)).length > 0;
  }

  /** Prolongs the lease alone. False: fenced. */
  async prolong({ uploadId, version, leaseSeconds }: Lease): Promise<boolean> {
    const sql = `UPDATE uploads SET lease_expires_at = ${LEASE_END}
                  WHERE id = $1 AND version = $2 AND lease_holder IS NOT NULL RETURNING id`;
    return (await this.query(sql, [uploadId, version, leaseSeconds])).length > 0;
  }

  /** Lets go of the lease. Does nothing when fenced: it is another writer's lease then. */
  async release({ uploadId, version }: Lease): Promise<void> {
    const sql =
      'UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL WHERE id = $1 AND version = $2 RETURNING id';
    await this.query(sql, [uploadId, version]);
  }

  /**
   * Nobody can be writing to any session: called at boot by the one process that a private database has. They stay marked for a
   * fence where `mayArrive`: what was under way to storage when its process ended.
   */
  async releaseAll(mayArrive: boolean): Promise<void> {
    const sql = `UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL, abandoned = $1
                  WHERE lease_holder IS NOT NULL OR (abandoned AND NOT $1)`;
    await this.query(sql, [mayArrive]);
  }

  /** Frees what a process held that is known to have ended; see `releaseAll`. */
  async releaseHolder(holder: string, mayArrive: boolean): Promise<void> {
    const sql = `UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL, abandoned = abandoned OR $2
                  WHERE lease_holder = $1`;
    await this.query(sql, [holder, mayArrive]);
  }

  /** Right when it is repeated. Answers the session as it was left; nothing: fenced, or committed by a COMMIT whose answer was lost. */
  async markCancelled(lease: Lease): Promise<UploadSession | undefined> {
    const update = `UPDATE uploads
          SET state = 'cancelled', lease_holder = NULL, lease_expires_at = NULL, updated_at = now()
        WHERE id = $1 AND version = $2 AND state IN ('open', 'committing', 'cancelled')
        RETURNING ${SESSION_COLUMNS}`;
    const statement = leavingEvent(update, [lease.uploadId, lease.version], {
      kind: `'cancelled'`,
      who: lease,
    });
    const [row] = await this.query<UploadRow>(...statement);
    return row && toSession(row);
  }

  private query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]> {
    return queryRows<Row>(this.dataSource.manager, sql, [...(parameters ?? [])]);
  }
}
