import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { DataSource } from 'typeorm';
import { NextBatch } from '../database/next-batch.js';
import { queryRows } from '../database/query-rows.js';
import type { Digest } from '../oci/digest.js';
import { formatReference, type Reference } from '../oci/reference.js';
import type { RepositoryName } from '../oci/repository-name.js';

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

/** Bytes by digest never change, so they may be remembered; most of all pulls are of a few manifests. */
const CACHE_BYTES = 16 * 1024 * 1024;

/**
 * Manifests as they are pulled. What a reference means is asked of Postgres each time, in one indexed query that reads of
 * the moment share; the bytes, which can't change, are remembered by their digest within a bound.
 */
@Injectable()
export class ManifestReader {
  private readonly byTag = new NextBatch<Wanted, HeadRow>((wanted) => this.find(BY_TAG, wanted), nameOf);
  private readonly byDigest = new NextBatch<Wanted, HeadRow>(
    (wanted) => this.find(BY_DIGEST, wanted),
    nameOf,
  );
  private readonly contents = new LRUCache<Digest, Buffer>({
    maxSize: CACHE_BYTES,
    maxEntrySize: CACHE_BYTES / 16,
    sizeCalculation: (content) => content.length + ENTRY_BYTES,
  });

  constructor(private readonly dataSource: DataSource) {}

  async get(repository: RepositoryName, reference: Reference): Promise<StoredManifest | undefined> {
    const head = await this.look(repository, reference);
    if (head === undefined) return undefined;
    const content = this.contents.get(head.digest) ?? (await this.load(head));
    return content && { ...head, content };
  }

  async head(repository: RepositoryName, reference: Reference): Promise<ManifestHead | undefined> {
    return this.look(repository, reference);
  }

  private look(repository: RepositoryName, reference: Reference): Promise<HeadRow | undefined> {
    const batch = reference.kind === 'tag' ? this.byTag : this.byDigest;
    return batch.get({ repository, text: formatReference(reference) });
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

  /** Nothing where the manifest was deleted in between. */
  private async load({ id, digest }: HeadRow): Promise<Buffer | undefined> {
    const sql = 'SELECT content FROM manifests WHERE id = $1';
    const [row] = await queryRows<{ content: Buffer }>(this.dataSource.manager, sql, [id]);
    if (row === undefined) return undefined;
    this.contents.set(digest, row.content);
    return row.content;
  }
}

/** What an entry costs beside its bytes, roughly. */
const ENTRY_BYTES = 512;

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
