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

/** A manifest without its bytes. */
export interface ManifestHead {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** A manifest with the exact bytes that were pushed. */
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

/** A retry is needed only if the manifest was deleted within a round trip. Two in a row are very rare. */
const MAX_ATTEMPTS = 5;

/**
 * Reads manifests for pulls. Each read asks Postgres what the reference points at, in one indexed query that
 * concurrent reads share. The bytes come from a cache by digest, or take a second query.
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

  /**
   * Returns undefined if the manifest did not exist at some point during the call.
   *
   * @throws ManifestUnsettledError if the manifest was deleted during each of several attempts.
   */
  async get(repository: RepositoryName, reference: Reference): Promise<StoredManifest | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const head = await this.findHead(repository, reference);
      if (head === undefined) return undefined;
      const content = await this.contents.get(head);
      if (content !== undefined) return { ...head, content };
      // The manifest was deleted between the two queries. The tag may have moved before that and exist all
      // the time, so only the first query can tell that it does not exist.
    }
    throw new ManifestUnsettledError(formatReference(reference));
  }

  /** Returns undefined if the manifest did not exist at some point during the call. */
  async head(repository: RepositoryName, reference: Reference): Promise<ManifestHead | undefined> {
    return this.findHead(repository, reference);
  }

  private findHead(repository: RepositoryName, reference: Reference): Promise<HeadRow | undefined> {
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

// One index lookup per key: LATERAL and LIMIT force this plan, whatever the planner estimates.
const lookUp = (join: string) =>
  `SELECT w.n, found.*
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (repository, reference, n)
    CROSS JOIN LATERAL (SELECT m.id, m.digest, m.media_type AS "mediaType", m.size_bytes AS "sizeBytes"
                          FROM repositories r ${join}
                         LIMIT 1) AS found`;

const BY_TAG = lookUp(
  `JOIN tags t ON t.repository_id = r.id
   JOIN live_manifests m ON m.id = t.manifest_id
  WHERE r.name = w.repository COLLATE "C" AND t.name = w.reference COLLATE "C"`,
);

const BY_DIGEST = lookUp(
  `JOIN live_manifests m ON m.repository_id = r.id
  WHERE r.name = w.repository COLLATE "C" AND m.digest = w.reference COLLATE "C"`,
);

/** Neither part contains a space. */
function nameOf({ repository, text }: Wanted): string {
  return `${repository} ${text}`;
}
