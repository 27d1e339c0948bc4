import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page, PageRequest } from '../../database/page.js';
import { BlobUploadUnknownError } from '../../oci/errors.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { UploadId } from '../../oci/upload-id.js';

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

/** One range of the index (state, id) per state, so that finished sessions are not read. */
const range = (state: string) =>
  `(SELECT * FROM uploads WHERE state = '${state}' AND id > $1::uuid ORDER BY id LIMIT $2)`;
const PAGE = `
  SELECT ${COLUMNS}
    FROM (${range('open')} UNION ALL ${range('committing')}) AS u
   ORDER BY id
   LIMIT $2`;

const ONE = `SELECT ${COLUMNS} FROM uploads WHERE id = $1 AND state IN ('open', 'committing')`;

const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';

/** Reads upload sessions for the admin API. */
@Injectable()
export class UploadsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** Uploads in progress, sorted by id. */
  list({ after, limit }: PageRequest<UploadId>): Promise<Page<UploadSummary>> {
    return this.lists.page(PAGE, [after ?? BEFORE_ALL], limit);
  }

  /** @throws BlobUploadUnknownError if it is not in progress. */
  async get(id: UploadId): Promise<UploadSummary> {
    const [upload] = await this.lists.run<UploadSummary>(ONE, [id]);
    if (upload === undefined) throw new BlobUploadUnknownError(id);
    return upload;
  }
}
