import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page } from '../../database/page.js';
import { BlobUploadUnknownError } from '../../oci/errors.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { UploadId } from '../../oci/upload-id.js';
import { bytesColumn, type Position, sortedStatements, sortsBy, timeColumn } from '../paging/sort.js';
import type { Sorted } from '../paging/sorted-cursor.js';

export const UPLOAD_SORTS = sortsBy(['id', 'startedAt', 'size']);
export type UploadSort = (typeof UPLOAD_SORTS)[number];

/** A session in progress. Its internal states, of hash and driver, are never read here. */
export interface UploadSummary {
  readonly id: UploadId;
  readonly repository: RepositoryName;
  readonly state: 'open' | 'committing';
  readonly offsetBytes: number;
  readonly startedAt: Date;
  readonly lastActivityAt: Date;
  readonly ageSeconds: number;
  readonly beingWritten: boolean;
  readonly clientAddress: string | null;
  readonly userAgent: string | null;
  readonly createdBy: string | null;
}

/** Times are compared with the database's clock, which wrote them. `pg` returns `float8` as a number. */
const COLUMNS = `
  id, repository, state, offset_bytes::float8 AS "offsetBytes",
  created_at AS "startedAt", updated_at AS "lastActivityAt",
  greatest(floor(extract(epoch FROM clock_timestamp() - created_at)), 0)::float8 AS "ageSeconds",
  coalesce(lease_expires_at > clock_timestamp(), false) AS "beingWritten",
  client_address AS "clientAddress", user_agent AS "userAgent", created_by AS "createdBy"`;

/**
 * One range of the index (state, id) per state, so that finished sessions are not read. The other two sorts
 * have indexes of unfinished sessions only.
 */
const fromStates = (range: (state: string) => string) =>
  `(${range(`= 'open'`)} UNION ALL ${range(`= 'committing'`)}) AS u`;

/** No upload has the first or the last UUID. */
const PAGES = sortedStatements(
  {
    column: 'id',
    before: '00000000-0000-0000-0000-000000000000',
    after: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  },
  { id: undefined, startedAt: timeColumn('created_at'), size: bytesColumn('offset_bytes') },
  1,
  ({ after, by, value, limit }) => {
    const range = (state: string) =>
      `(SELECT * FROM uploads WHERE state ${state} AND ${after} ORDER BY ${by} LIMIT ${limit})`;
    const isById = value === 'NULL::text';
    const rows = isById ? fromStates(range) : `${range(`IN ('open', 'committing')`)} AS u`;
    return `
  SELECT ${COLUMNS}, ${value} AS "sortValue"
    FROM ${rows}
   ORDER BY ${by}
   LIMIT ${limit}`;
  },
);

const ONE = `SELECT ${COLUMNS} FROM uploads WHERE id = $1 AND state IN ('open', 'committing')`;

/** Reads upload sessions for the admin API. */
@Injectable()
export class UploadsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** A page of the uploads in progress. */
  list({
    sort,
    after,
    limit,
  }: {
    sort: UploadSort;
    after: Position<UploadId> | undefined;
    limit: number;
  }): Promise<Page<UploadSummary & Sorted>> {
    const { sql, parameters } = PAGES[sort];
    return this.lists.page(sql, parameters(after), limit);
  }

  /** @throws BlobUploadUnknownError if it is not in progress. */
  async get(id: UploadId): Promise<UploadSummary> {
    const [upload] = await this.lists.run<UploadSummary>(ONE, [id]);
    if (upload === undefined) throw new BlobUploadUnknownError(id);
    return upload;
  }
}
