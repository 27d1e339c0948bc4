import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { UnitOfWork } from '../database/unit-of-work.js';

/** After which link the next batch begins. Times are text: a `Date` would lose microseconds. */
export interface LinkPosition {
  readonly since: string;
  readonly repository: string;
  readonly blob: string;
}

/** After which blob the next batch begins. */
export interface BlobPosition {
  readonly since: string;
  readonly blob: string;
}

/** Where in a deletion the next batch begins. */
export interface FollowPosition {
  readonly manifest: string;
  readonly relation: number;
  readonly key: string;
  /** Whether this pass has changed nothing so far. */
  readonly isClean: boolean;
}

/** Before which manifest of which deletion the next batch begins. */
export interface PurgePosition {
  readonly deletion: string;
  readonly manifest: string | null;
}

/** Keeps the collector's statements together: they never take the last connection. */
const KEY = 'collection';

/**
 * The statements of a collection. Each does one batch, in a transaction of its own, by a function of the
 * schema. Ids and positions are text.
 *
 * @throws ContendedError, from each method, if a lock was not granted in half a second: nothing was changed.
 */
@Injectable()
export class CollectionStore {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly configuration: Configuration,
  ) {}

  /** Ids of deletions whose followers were not all found yet, after `after`. */
  async unfollowed(after: string, limit: number): Promise<string[]> {
    const sql = 'SELECT unfollowed_deletions($1, $2) AS id';
    return (await this.query<{ id: string }>(sql, [after, limit])).map(({ id }) => id);
  }

  /** The position is undefined at the end of the deletion. */
  async follow(
    deletion: string,
    { manifest, relation, key, isClean }: FollowPosition,
  ): Promise<{ deleted: number; untagged: number; position: FollowPosition | undefined }> {
    const row = await this.one<{
      p_manifest: string | null;
      p_relation: number;
      p_key: string;
      p_is_clean: boolean;
      deleted: number;
      untagged: number;
    }>('SELECT * FROM follow_deletion($1, $2, $3, $4, $5, $6)', [
      ...[deletion, this.batch, manifest, relation, key, isClean],
    ]);
    const { p_manifest: next, deleted, untagged } = row;
    if (next === null) return { deleted, untagged, position: undefined };
    const position = { manifest: next, relation: row.p_relation, key: row.p_key, isClean: row.p_is_clean };
    return { deleted, untagged, position };
  }

  /** Of manifests by the time of their last push, after a position. */
  deleteUntaggedByPush(pushedAt: string, manifest: string) {
    return this.one<{
      pushed_at: string;
      manifest: string;
      looked: number;
      deleted: number;
      settled_at: string | null;
      settled_manifest: string | null;
      is_settled: boolean;
    }>(
      `SELECT p_pushed_at::text AS pushed_at, p_manifest AS manifest, looked, deleted,
              settled_at::text AS settled_at, settled_manifest, is_settled
         FROM delete_untagged_by_push($1, $2, $3, $4)`,
      [this.configuration.gcUntaggedSeconds, this.batch, pushedAt, manifest],
    );
  }

  /** Of manifests that lost a tag, by the id of the tag's event, after a position. */
  deleteUntaggedByEvent(event: string) {
    return this.one<{
      event: string;
      looked: number;
      deleted: number;
      settled_event: string | null;
      is_settled: boolean;
    }>(
      `SELECT p_event AS event, looked, deleted, settled_event, is_settled
         FROM delete_untagged_by_event($1, $2, $3)`,
      [this.configuration.gcUntaggedSeconds, this.batch, event],
    );
  }

  /** Returns how many deletions can't be restored from now on. */
  async expireDeletions(): Promise<number> {
    const sql = 'SELECT expire_deletions($1, $2) AS n';
    return (await this.one<{ n: number }>(sql, [this.configuration.gcUndeleteSeconds, this.batch])).n;
  }

  /** The position is undefined at the end. */
  async purgeDeletions({ deletion, manifest }: PurgePosition): Promise<{
    purged: number;
    ended: number;
    position: PurgePosition | undefined;
  }> {
    const row = await this.one<{
      p_deletion: string | null;
      p_manifest: string | null;
      purged: number;
      ended: number;
    }>('SELECT * FROM purge_deletions($1, $2, $3)', [this.batch, deletion, manifest]);
    const { p_deletion: next, purged, ended } = row;
    const position = next === null ? undefined : { deletion: next, manifest: row.p_manifest };
    return { purged, ended, position };
  }

  /** Ids of deletions of repositories that are being purged, after `after`. */
  async purgingRepositories(after: string, limit: number): Promise<string[]> {
    const sql = 'SELECT purging_repositories($1, $2) AS id';
    return (await this.query<{ id: string }>(sql, [after, limit])).map(({ id }) => id);
  }

  /** One step. `changed` is 0 if it can't go on now. */
  purgeRepository(deletion: string): Promise<{ changed: number; purged: number; is_over: boolean }> {
    return this.one('SELECT * FROM purge_repository($1, $2)', [deletion, this.batch]);
  }

  /** Returns how many rows it changed. */
  async pruneDeletions(): Promise<number> {
    const sql = 'SELECT prune_deletions($1, $2) AS n';
    return (await this.one<{ n: number }>(sql, [this.configuration.jobHistorySeconds, this.batch])).n;
  }

  /** The position is undefined at the end. */
  async collectLinks({ since, repository, blob }: LinkPosition): Promise<{
    looked: number;
    deleted: number;
    position: LinkPosition | undefined;
  }> {
    const row = await this.one<LinkPosition & { looked: number; deleted: number }>(
      `SELECT p_since::text AS since, p_repository AS repository, p_blob AS blob, looked, deleted
         FROM collect_links($1, $2, $3, $4, $5)`,
      [this.configuration.gcGraceSeconds, this.batch, since, repository, blob],
    );
    const { looked, deleted } = row;
    const position = { since: row.since, repository: row.repository, blob: row.blob };
    return { looked, deleted, position: looked < this.batch ? undefined : position };
  }

  /** The position is undefined at the end. */
  async collectBlobs({ since, blob }: BlobPosition): Promise<{
    looked: number;
    deleted: number;
    bytes: number;
    position: BlobPosition | undefined;
  }> {
    const row = await this.one<BlobPosition & { looked: number; deleted: number; bytes: string }>(
      `SELECT p_since::text AS since, p_blob AS blob, looked, deleted, bytes
         FROM collect_blobs($1, $2, $3, $4)`,
      [this.configuration.gcReadWindowSeconds, this.batch, since, blob],
    );
    const { looked, deleted } = row;
    const position = looked < this.batch ? undefined : { since: row.since, blob: row.blob };
    return { looked, deleted, bytes: Number(row.bytes), position };
  }

  /** `undated`: links that nothing needs, which had no date. */
  checkLinks(repository: string, blob: string, limit: number) {
    return this.one<{ repository: string; blob: string; looked: number; undated: number }>(
      `SELECT p_repository AS repository, p_blob AS blob, looked, undated FROM check_links($1, $2, $3)`,
      [limit, repository, blob],
    );
  }

  /** `undated`: blobs that no repository links, which had no date. */
  checkBlobs(blob: string, limit: number) {
    return this.one<{ blob: string; looked: number; undated: number }>(
      `SELECT p_blob AS blob, looked, undated FROM check_blobs($1, $2)`,
      [limit, blob],
    );
  }

  /** Sets dates that lie far ahead to now. Returns how many. */
  async correctFutureDates(): Promise<number> {
    const sql = 'SELECT correct_future_dates($1, $2) AS n';
    return (await this.one<{ n: number }>(sql, [this.configuration.gcReadWindowSeconds, this.batch])).n;
  }

  /** Rows of a batch. */
  get batch(): number {
    return this.configuration.gcBatchRows;
  }

  private async one<Row>(sql: string, parameters: unknown[]): Promise<Row> {
    const [row] = await this.query<Row>(sql, parameters);
    if (row === undefined) throw new Error('a function of the collector returned no row');
    return row;
  }

  private query<Row>(sql: string, parameters: unknown[]): Promise<Row[]> {
    return this.unitOfWork.statement<Row>(sql, parameters, [KEY]);
  }
}
