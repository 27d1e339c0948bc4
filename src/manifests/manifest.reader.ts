import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { READS } from '../database/connection/connections.js';
import { BatchLoader } from '../database/batch-loader.js';
import { queryRows } from '../database/query-rows.js';
import type { Digest } from '../oci/digest.js';
import { formatReference, type Reference } from '../oci/reference.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { ManifestContents } from './manifest-contents.js';
import { ManifestUnsettledError } from './manifest.errors.js';

/** What a HEAD needs of a manifest. */
export interface ManifestHead {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** A manifest as pulled: the exact bytes that were pushed. */
export interface StoredManifest extends ManifestHead {
  readonly content: Buffer;
}

interface Wanted {
  readonly repository: RepositoryName;
  readonly text: string;
}

interface HeadRow extends ManifestHead {
  readonly id: string;
}

/** Each look but the first takes a manifest that was deleted within a round trip: two in a row are hardly ever seen. */
const MAX_LOOKS = 5;

/**
 * Manifests as they are pulled. What a reference means is asked of Postgres each time, in one indexed query that reads of
 * the moment share; the bytes, which can't change, are remembered by their digest within a bound, or take a second one.
 */
@Injectable()
export class ManifestReader {
  private readonly byTag = new BatchLoader<Wanted, HeadRow>((wanted) => this.find(BY_TAG, wanted), nameOf);
  private readonly byDigest = new BatchLoader<Wanted, HeadRow>(
    (wanted) => this.find(BY_DIGEST, wanted),
    nameOf,
  );
  private readonly contents: ManifestContents;

  constructor(@Inject(READS) private readonly dataSource: DataSource) {
    this.contents = new ManifestContents(dataSource);
  }

  /** Nothing where there was no such manifest at some moment since the call. @throws ManifestUnsettledError where that can't be told. */
  async get(repository: RepositoryName, reference: Reference): Promise<StoredManifest | undefined> {
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      const head = await this.look(repository, reference);
      if (head === undefined) return undefined;
      const content = await this.contents.get(head);
      if (content !== undefined) return { ...head, content };
      // Deleted since the look. A tag may have been moved before that, so that it was there all the time: only a look can say that it isn't.
    }
    throw new ManifestUnsettledError(formatReference(reference));
  }

  /** Nothing where there was no such manifest at some moment since the call. */
  async head(repository: RepositoryName, reference: Reference): Promise<ManifestHead | undefined> {
    return this.look(repository, reference);
  }

  private look(repository: RepositoryName, reference: Reference): Promise<HeadRow | undefined> {
    const batch = reference.kind === 'tag' ? this.byTag : this.byDigest;
    return batch.load({ repository, text: formatReference(reference) });
  }

  private async find(sql: string, wanted: readonly Wanted[]): Promise<(HeadRow | undefined)[]> {
    const rows = await queryRows<HeadRow & { n: string }>(this.dataSource.manager, sql, [
      wanted.map(({ repository }) => repository),
      wanted.map(({ text }) => text),
    ]);
    const found = new Array<HeadRow | undefined>(wanted.length);
    for (const row of rows) found[Number(row.n) - 1] = row;
    return found;
  }
}

// One look at the indexes for each wanted key: LATERAL and LIMIT leave the planner no other way, however it estimates.
const lookUp = (look: string) =>
  `SELECT w.n, found.*
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (repository, reference, n)
    CROSS JOIN LATERAL (SELECT m.id, m.digest, m.media_type AS "mediaType", m.size_bytes AS "sizeBytes"
                          FROM repositories r ${look}
                         LIMIT 1) AS found`;

const BY_TAG = lookUp(
  `JOIN tags t ON t.repository_id = r.id
   JOIN manifests m ON m.id = t.manifest_id
  WHERE r.name = w.repository COLLATE "C" AND t.name = w.reference COLLATE "C"`,
);

const BY_DIGEST = lookUp(
  `JOIN manifests m ON m.repository_id = r.id
  WHERE r.name = w.repository COLLATE "C" AND m.digest = w.reference COLLATE "C"`,
);

/** Neither part can have a space in it. */
function nameOf({ repository, text }: Wanted): string {
  return `${repository} ${text}`;
}
