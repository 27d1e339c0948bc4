import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type BlobRecord, type BlobRow, toBlobRecord } from '../../blobs/blob.store.js';
import { outlastOutage } from '../../database/outlast-outage.js';
import { queryRows } from '../../database/query-rows.js';
import { recordingEvent } from '../../events/recording-event.js';
import {
  uploadsEnded,
  uploadsResumed,
  uploadsTakenOver,
} from '../../observability/metrics/upload.metrics.js';
import { CANONICAL_ALGORITHM, type Digest } from '../../oci/digest.js';
import type { DriverUploadState } from '../../storage/storage-driver.js';
import type { Midstate } from '../hash/hasher.js';
import type { OpenSessions } from './session-limits.js';
import {
  progressParameters,
  queryUploads,
  retryDuringOutage,
  SESSION_COLUMNS,
  tarsumsParameter,
  toSession,
  type UploadRow,
} from './upload-row.js';
import type { WantedDigests } from '../wanted-digests.js';
import type {
  Lease,
  LeaseRequest,
  UploadProgress,
  UploadReference,
  UploadSession,
} from './upload-session.js';

const LEASE_END = `clock_timestamp() + $3::float8 * interval '1 second'`;

const INSERT = `INSERT INTO uploads (id, repository, midstates, driver_state, tarsums,
                                     created_by, client_address, user_agent, last_holder)`;
const INSERTED =
  '$1::uuid, $2::text, $3::jsonb, $4::jsonb, $5::jsonb, $6::text, $7::text, $8::text, $9::text';
const INSERT_ONCE = 'ON CONFLICT (id) DO NOTHING RETURNING id, offset_bytes';

/** Counts at most `max` open sessions. Each condition has an index. */
function countOpen(max: `$${number}`, condition = 'true'): string {
  return `(SELECT count(*) FROM (SELECT FROM uploads WHERE state IN ('open', 'committing') AND ${condition}
                                  LIMIT ${max}::int) AS counted)`;
}

function insertParameters(
  { id, repository }: UploadReference,
  progress: UploadProgress,
  { actor, clientAddress, userAgent, replica }: LeaseRequest,
): unknown[] {
  const { midstates, driverState } = progress;
  const state = [JSON.stringify(midstates), JSON.stringify(driverState), tarsumsParameter(progress)];
  return [id, repository, ...state, actor, clientAddress, userAgent, replica];
}

/** A session with the lease that was just acquired. */
export interface AcquiredSession {
  /** With the digest that the row had before. */
  readonly session: UploadSession;
  readonly lease: Lease;
  /** Whether an earlier writer never released the session and may still be writing: it must be fenced. */
  readonly needsFence: boolean;
  /** Set if the session has no bytes and its row names the digest that was asked for. */
  readonly intent?: CommitIntent | undefined;
}

/**
 * The row of an open session without bytes has the digest of the content that the request is about to store.
 * So an object without a blob, which a crash can leave, is found.
 */
export interface CommitIntent {
  /** The blob that has the content now, if any. */
  readonly existing: BlobRecord | undefined;
}

export interface AcquireOptions {
  /** The holder that is known to have ended, with the version that it was seen with. */
  readonly gone?: Pick<UploadSession, 'leaseHolder' | 'version'> | undefined;
  /** The sha256 digest of the content that the request is about to store: see {@link CommitIntent}. */
  readonly intent?: Digest | undefined;
}

export interface CheckpointOptions {
  /** Releases the lease instead of renewing it. */
  readonly release?: boolean;
  readonly recordEvent?: boolean;
  /** Replaces the session's `bodyStart`. */
  readonly bodyStart?: Midstate | undefined;
}

/**
 * The rows of upload sessions, as their writers change them. Every change is one UPDATE that names the
 * writer's fencing version: if it changes no row, the writer was fenced. Times are the database's own, so
 * replicas need no common clock. Requests wait out a short outage of Postgres here (see `queryUploads`), so
 * each statement is idempotent.
 */
@Injectable()
export class UploadSessionStore {
  constructor(private readonly dataSource: DataSource) {}

  async insert(reference: UploadReference, progress: UploadProgress, request: LeaseRequest): Promise<void> {
    const insert = `${INSERT} VALUES (${INSERTED}) ${INSERT_ONCE}`;
    const event = { kind: `'started'`, origin: request };
    await this.query(...recordingEvent(insert, insertParameters(reference, progress, request), event));
  }

  /**
   * Inserts like `insert` while fewer sessions than `max` are open. Otherwise inserts nothing, and returns
   * how many are open.
   *
   * @param max 0: no limit. Counting stops there, too.
   */
  async insertWithin(
    max: OpenSessions,
    reference: UploadReference,
    progress: UploadProgress,
    request: LeaseRequest,
  ): Promise<OpenSessions | undefined> {
    const insert = `${INSERT} SELECT ${INSERTED}
       WHERE ($10 = 0 OR ${countOpen('$10')} < $10) AND ($11 = 0 OR ${countOpen('$11', 'repository = $2')} < $11)
       ${INSERT_ONCE}`;
    const parameters = [...insertParameters(reference, progress, request), max.all, max.ofRepository];
    const event = { kind: `'started'`, origin: request };
    const rows = await this.query(...recordingEvent(insert, parameters, event));
    // An attempt whose response was lost may have inserted it.
    if (rows.length > 0 || (await this.find(reference)) !== undefined) return undefined;
    const [open] = await this.query<OpenSessions>(
      `SELECT ${countOpen('$1')}::int AS all, ${countOpen('$2', 'repository = $3')}::int AS "ofRepository"`,
      [max.all, max.ofRepository, reference.repository],
    );
    return open;
  }

  async find({ repository, id }: UploadReference): Promise<UploadSession | undefined> {
    const sql = `SELECT ${SESSION_COLUMNS} FROM uploads WHERE id = $1 AND repository = $2`;
    const [row] = await this.query<UploadRow>(sql, [id, repository]);
    return row && toSession(row);
  }

  /**
   * The sha256 digest of the blob that the session was committed as, if the blob has all these digests, and
   * its repository still has the blob. Renews the link if it is a candidate for collection, as the commit
   * did.
   */
  async renewCommitted(
    { repository, id }: UploadReference,
    { digests, tarsums }: WantedDigests,
  ): Promise<Digest | undefined> {
    const sql = `UPDATE repository_blobs l
                    SET candidate_since = CASE WHEN candidate_since IS NULL THEN NULL ELSE now() END
                   FROM uploads u JOIN blob_digests d ON d.blob_id = u.blob_id
                  WHERE u.id = $1 AND u.repository = $2 AND d.digest LIKE '${CANONICAL_ALGORITHM}:%'
                    AND $3::text[] <@ ARRAY(SELECT digest FROM blob_digests WHERE blob_id = u.blob_id)
                    AND $4::text[] <@ ARRAY(SELECT tarsum FROM blob_tarsums WHERE blob_id = u.blob_id)
                    AND l.blob_id = u.blob_id AND l.hidden_at IS NULL
                    AND l.repository_id = (SELECT id FROM repositories WHERE name = $2)
                  RETURNING d.digest`;
    const [row] = await this.query<{ digest: Digest }>(sql, [id, repository, digests, tarsums]);
    return row?.digest;
  }

  /**
   * Acquires a session that is free, whose lease has expired, or whose holder is `gone`. Raises the fencing
   * version. Returns undefined if another writer holds the session, or if it does not exist or has ended.
   */
  async acquire(
    { repository, id }: UploadReference,
    request: LeaseRequest,
    { gone, intent }: AcquireOptions = {},
  ): Promise<AcquiredSession | undefined> {
    // The inner SELECT locks the row: the event needs the values from before the update. An intent is never
    // replaced: the object of the first one may exist.
    const acquire = `UPDATE uploads u
          SET version = version + 1, lease_holder = $4, last_holder = $4, lease_expires_at = ${LEASE_END},
              updated_at = now(),
              abandoned = abandoned OR abandoned_by IS NOT NULL,
              digest = CASE WHEN state = 'open' AND offset_bytes = 0 THEN coalesce(digest, $7) ELSE digest END
         FROM (SELECT id AS free_id, lease_holder AS abandoned_by, last_holder AS previous_holder,
                      digest AS previous_digest
                 FROM uploads
                WHERE id = $1 AND repository = $2 AND state IN ('open', 'committing')
                  AND (lease_holder IS NULL OR lease_expires_at < clock_timestamp()
                       OR (lease_holder = $5 AND version = $6))
                  FOR UPDATE) free
         LEFT JOIN LATERAL (SELECT b.id AS known_id, b.size_bytes, b.object_key
                              FROM blob_digests d JOIN blobs b ON b.id = d.blob_id
                             WHERE d.digest = $7
                             LIMIT 1) known ON true
        WHERE u.id = free_id
        RETURNING ${SESSION_COLUMNS}, abandoned, abandoned_by, previous_holder, previous_digest,
                  known_id, size_bytes, object_key`;
    const { replica, leaseSeconds } = request;
    const parameters = [id, repository, leaseSeconds, replica, gone?.leaseHolder, gone?.version, intent];
    const [row] = await this.query<AcquiredRow>(
      ...recordingEvent(acquire, parameters, {
        kind: `CASE WHEN abandoned_by IS NULL THEN 'resumed' ELSE 'takeover' END`,
        // Behind a load balancer every chunk can reach another replica: sampled after 32 acquisitions.
        when: `abandoned_by IS NOT NULL
          OR (previous_holder <> lease_holder AND (version <= 32 OR version & (version - 1) = 0))`,
        origin: request,
      }),
    );
    if (row === undefined) return undefined;
    const session = toSession({ ...row, digest: row.previous_digest });
    if (row.abandoned_by !== null) uploadsTakenOver.inc();
    else if (session.offsetBytes > 0 && row.previous_holder !== replica) uploadsResumed.inc();
    const lease = { ...request, uploadId: id, version: session.version, acquiredAt: performance.now() };
    const isIntended = intent !== undefined && session.state === 'open' && session.offsetBytes === 0;
    return {
      session,
      lease,
      needsFence: row.abandoned,
      ...(isIntended && row.digest === intent && { intent: { existing: knownBlob(row) } }),
    };
  }

  /**
   * Records the driver's state after an earlier writer was fenced. Returns false if this writer was fenced
   * itself.
   */
  async recordFence({ uploadId, version }: Lease, driverState: DriverUploadState): Promise<boolean> {
    const sql = `UPDATE uploads SET driver_state = $3::jsonb, abandoned = false
                  WHERE id = $1 AND version = $2 AND state = 'open'
                    AND (abandoned OR driver_state = $3::jsonb)
                  RETURNING id`;
    return (await this.query(sql, [uploadId, version, JSON.stringify(driverState)])).length > 0;
  }

  /**
   * Records durable progress and renews or releases the lease. A delayed repetition never moves the offset
   * back. Returns false, having recorded nothing, if the writer was fenced.
   */
  async checkpoint(
    lease: Lease,
    progress: UploadProgress,
    options: CheckpointOptions = {},
  ): Promise<boolean> {
    return retryDuringOutage(() => this.tryCheckpoint(lease, progress, options));
  }

  /** A checkpoint with a single attempt, for a writer that is closing. */
  async tryCheckpoint(
    lease: Lease,
    progress: UploadProgress,
    { release = false, recordEvent = false, bodyStart }: CheckpointOptions = {},
  ): Promise<boolean> {
    const update = `UPDATE uploads
          SET offset_bytes = $4, midstates = $5::jsonb, driver_state = $6::jsonb,
              body_start = coalesce($7::jsonb, body_start), tarsums = $8::jsonb,
              lease_expires_at = ${LEASE_END}, updated_at = now(),
              lease_holder = CASE WHEN $3::float8 IS NULL THEN NULL ELSE lease_holder END
        WHERE id = $1 AND version = $2 AND state = 'open' AND offset_bytes <= $4
        RETURNING id, offset_bytes`;
    const { uploadId, version, leaseSeconds } = lease;
    const parameters = [
      ...[uploadId, version, release ? null : leaseSeconds],
      ...progressParameters(progress),
      bodyStart === undefined ? null : JSON.stringify(bodyStart),
      tarsumsParameter(progress),
    ];
    const [sql, values] = recordEvent
      ? recordingEvent(update, parameters, { kind: `'checkpoint'`, origin: lease })
      : [update, parameters];
    return (await queryRows(this.dataSource.manager, sql, values)).length > 0;
  }

  /** Renews the lease; a single attempt. Returns false if the writer was fenced. */
  async renew({ uploadId, version, leaseSeconds }: Lease): Promise<boolean> {
    const sql = `UPDATE uploads SET lease_expires_at = ${LEASE_END}
                  WHERE id = $1 AND version = $2 AND lease_holder IS NOT NULL RETURNING id`;
    return (await queryRows(this.dataSource.manager, sql, [uploadId, version, leaseSeconds])).length > 0;
  }

  /**
   * Releases the lease. Does nothing if the writer was fenced. If it fails, it returns and is retried in the
   * background for as long as the lease can last.
   */
  async release({ uploadId, version, leaseSeconds }: Lease): Promise<void> {
    const sql = `UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL
                  WHERE id = $1 AND version = $2 RETURNING id`;
    const release = () => queryRows(this.dataSource.manager, sql, [uploadId, version]);
    try {
      await release();
    } catch {
      outlastOutage(leaseSeconds * 1000, release).catch(() => undefined);
    }
  }

  /**
   * Releases every lease. Called at boot by the only process of a private database: no other one can be
   * writing.
   *
   * @param mayArrive whether writes of the processes that ended can still reach the storage: then the
   *   sessions need a fence.
   */
  async releaseAll(mayArrive: boolean): Promise<void> {
    const sql = `UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL, abandoned = $1
                  WHERE lease_holder IS NOT NULL OR (abandoned AND NOT $1)`;
    await this.query(sql, [mayArrive]);
  }

  /** Releases the leases of a process that is known to have ended; see `releaseAll`. */
  async releaseHolder(holder: string, mayArrive: boolean): Promise<void> {
    const sql = `UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL, abandoned = abandoned OR $2
                  WHERE lease_holder = $1`;
    await this.query(sql, [holder, mayArrive]);
  }

  /**
   * Cancels the session and returns it. Returns undefined if the writer was fenced or has committed the
   * session.
   */
  async markCancelled(lease: Lease): Promise<UploadSession | undefined> {
    const update = `UPDATE uploads
          SET state = 'cancelled', lease_holder = NULL, lease_expires_at = NULL, updated_at = now()
        WHERE id = $1 AND version = $2 AND state IN ('open', 'committing', 'cancelled')
        RETURNING ${SESSION_COLUMNS}`;
    const event = { kind: `'cancelled'`, origin: lease };
    const [row] = await this.query<UploadRow>(
      ...recordingEvent(update, [lease.uploadId, lease.version], event),
    );
    if (row !== undefined) uploadsEnded.inc(['cancelled']);
    return row && toSession(row);
  }

  private query<Row>(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    return queryUploads<Row>(this.dataSource, sql, parameters);
  }
}

interface AcquiredRow extends UploadRow {
  abandoned: boolean;
  /** The holder that never released the lease. */
  abandoned_by: string | null;
  previous_holder: string | null;
  previous_digest: Digest | null;
  known_id: string | null;
  size_bytes: string | null;
  object_key: string | null;
}

function knownBlob({ known_id: id, ...row }: AcquiredRow): BlobRecord | undefined {
  return id === null ? undefined : toBlobRecord({ ...row, id } as BlobRow);
}
