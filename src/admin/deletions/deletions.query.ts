import { Injectable } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { ListQueries } from '../../database/list-queries.js';
import type { Page, PageRequest } from '../../database/page.js';
import { DeletionUnknownError } from '../../deletions/deletion.errors.js';
import {
  DELETION_STATES,
  type DeletionKind,
  type DeletionNames,
  type DeletionState,
  type TagNotRestored,
} from '../../deletions/deletion.js';
import type { RepositoryName } from '../../oci/repository-name.js';

export interface ListedDeletion {
  readonly id: string;
  readonly repository: RepositoryName;
  readonly kind: DeletionKind;
  readonly reference: string | null;
  readonly actor: string | null;
  readonly reason: string | null;
  readonly deletedAt: Date;
  readonly state: DeletionState;
  readonly restoredAs: RepositoryName | null;
  readonly restorableUntil: Date | null;
  readonly followed: boolean;
  readonly purgeRequestedAt: Date | null;
  readonly endedAt: Date | null;
}

/** The column `restoration`; of a repository it has other fields. */
interface Restoration {
  readonly actor: string | null;
  readonly manifests?: number;
  readonly tags?: number;
  readonly tagsNotRestored?: number;
  readonly notRestored?: readonly TagNotRestored[];
}

interface DeletionRow extends ListedDeletion {
  readonly manifests: number;
  readonly tags: number;
  readonly restoration: Restoration | null;
}

/** `$1`: how long deletions can be restored, in seconds. */
const COLUMNS = `
  d.id, d.repository, d.kind, d.reference, d.actor, d.reason, d.deleted_at AS "deletedAt", d.state,
  d.restoration ->> 'as' AS "restoredAs",
  CASE WHEN d.state = 'restorable' AND d.deleted_at > now() - $1::float8 * interval '1 second'
       THEN d.deleted_at + $1::float8 * interval '1 second' END AS "restorableUntil",
  d.followed, d.purge_requested_at AS "purgeRequestedAt", d.ended_at AS "endedAt"`;

const page = (condition: string, first: number) => `
  SELECT ${COLUMNS} FROM deletions d
   WHERE ${condition} AND d.id < $${first} ORDER BY d.id DESC LIMIT $${first + 1}`;

const OF_ALL = page('true', 2);
/** Rows are compared, so only the index of these columns has the order. */
const OF_STATE = `
  SELECT ${COLUMNS} FROM deletions d
   WHERE d.state >= $2 AND (d.state, d.id) < ($2, $3::bigint) ORDER BY d.state DESC, d.id DESC LIMIT $4`;
/** Ranges of rows, too: with an equality, the planner read all deletions of the repository, and sorted. */
const inState = (state: string) => `
  SELECT * FROM deletions
   WHERE (repository, state, id) > ($2 COLLATE "C", ${state}, 0)
     AND (repository, state, id) < ($2 COLLATE "C", ${state}, $3::bigint)
   ORDER BY repository DESC, state DESC, id DESC LIMIT`;
const OF_REPOSITORY_AND_STATE = `SELECT ${COLUMNS} FROM (${inState('$4')} $5) AS d ORDER BY d.id DESC`;
/** A page of each state, and the newest of all. */
const OF_REPOSITORY = `
  SELECT ${COLUMNS}
    FROM unnest('{${DELETION_STATES.join(', ')}}'::text[]) AS wanted (state)
   CROSS JOIN LATERAL (${inState('wanted.state')} $4) AS d
   ORDER BY d.id DESC LIMIT $4`;

const ONE = `
  SELECT ${COLUMNS}, d.restoration,
         CASE WHEN d.kind = 'repository'
              THEN (SELECT count(*) FROM manifests
                     WHERE repository_id = d.repository_id AND d.state <> 'restored')
              ELSE (SELECT count(*) FROM manifests WHERE deletion_id = d.id) END::float8 AS manifests,
         CASE WHEN d.kind = 'repository'
              THEN (SELECT count(*) FROM tags
                     WHERE repository_id = d.repository_id AND d.state <> 'restored')
              ELSE (SELECT count(*) FROM tag_events WHERE deletion_id = d.id) END::float8 AS tags
    FROM deletions d WHERE d.id = $2`;
const NAMES = `
  SELECT d.repository, (SELECT name FROM repositories WHERE id = d.repository_id) AS "currentRepository"
    FROM deletions d WHERE d.id = $1`;

export interface DeletionFilters {
  readonly repository: RepositoryName | undefined;
  readonly state: DeletionState | undefined;
}

/** Later than all deletions. */
const LAST_ID = '9223372036854775807';

/** Reads deletions for the admin API. */
@Injectable()
export class DeletionsQuery {
  constructor(
    private readonly lists: ListQueries,
    private readonly configuration: Configuration,
  ) {}

  /** The deletions that match all filters, newest first. */
  list({ repository, state }: DeletionFilters, { after, limit }: PageRequest): Promise<Page<ListedDeletion>> {
    const until = after ?? LAST_ID;
    const [sql, values] =
      repository === undefined
        ? state === undefined
          ? [OF_ALL, [until]]
          : [OF_STATE, [state, until]]
        : state === undefined
          ? [OF_REPOSITORY, [repository, until]]
          : [OF_REPOSITORY_AND_STATE, [repository, until, state]];
    return this.lists.page(sql, [this.configuration.gcUndeleteSeconds, ...values], limit);
  }

  /** @throws DeletionUnknownError */
  async get(id: string) {
    const [row] = await this.lists.run<DeletionRow>(ONE, [this.configuration.gcUndeleteSeconds, id]);
    if (row === undefined) throw new DeletionUnknownError(id);
    return { ...row, restoration: restorationOf(row.restoration) };
  }

  /** @throws DeletionUnknownError */
  async names(id: string): Promise<DeletionNames> {
    const [names] = await this.lists.run<DeletionNames>(NAMES, [id]);
    if (names === undefined) throw new DeletionUnknownError(id);
    return names;
  }
}

function restorationOf(restoration: Restoration | null) {
  if (restoration?.manifests === undefined) return null;
  const { actor, manifests, tags = 0, tagsNotRestored = 0, notRestored = [] } = restoration;
  const named = notRestored.map(({ tag, reason, deletionId = null }) => ({ tag, reason, deletionId }));
  return { actor, manifests, tags, tagsNotRestored, notRestored: named };
}
