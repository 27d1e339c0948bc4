import { Injectable } from '@nestjs/common';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import type { Digest } from '../oci/digest.js';
import type { ParsedManifest } from '../oci/manifest.js';

/** What a manifest needs, as far as its repository has it: digest → row. */
export interface ResolvedReferences {
  readonly blobIds: ReadonlyMap<Digest, string>;
  readonly childIds: ReadonlyMap<Digest, string>;
}

interface IdRow {
  digest: Digest;
  id: string;
}

/** The rows of manifests and of what they refer to. */
@Injectable()
export class ManifestStore {
  /**
   * Finds what a manifest refers to, and keeps it from being deleted until the transaction ends. Blobs count only
   * where the repository links them.
   */
  async resolve(
    transaction: Transaction,
    repositoryId: string,
    manifest: ParsedManifest,
  ): Promise<ResolvedReferences> {
    const blobs = await queryRows<IdRow>(
      transaction,
      `SELECT d.digest, b.id
         FROM blob_digests d
         JOIN blobs b ON b.id = d.blob_id
         JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = $1
        WHERE d.digest = ANY($2)
        ORDER BY b.id
          FOR KEY SHARE OF b`,
      [repositoryId, manifest.blobs.map(({ digest }) => digest)],
    );
    const children = await queryRows<IdRow>(
      transaction,
      `SELECT digest, id FROM manifests
        WHERE repository_id = $1 AND digest = ANY($2)
        ORDER BY id
          FOR KEY SHARE`,
      [repositoryId, manifest.children.map(({ digest }) => digest)],
    );
    return { blobIds: byDigest(blobs), childIds: byDigest(children) };
  }

  /** Adds the manifest, or renews what is said of one that is there. Its bytes can't differ: the digest names them. */
  async upsert(
    transaction: Transaction,
    repositoryId: string,
    digest: Digest,
    manifest: ParsedManifest,
    content: Buffer,
    actor: string | null,
  ): Promise<string> {
    const [row] = await queryRows<{ id: string }>(
      transaction,
      `INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject_digest, annotations,
                              content, size_bytes, created_by)
       VALUES ($1, $2, $3, $4, $5, $6::json, $7, $8, $9)
       ON CONFLICT (repository_id, digest) DO UPDATE
          SET media_type = EXCLUDED.media_type, artifact_type = EXCLUDED.artifact_type
       RETURNING id`,
      [
        repositoryId,
        digest,
        manifest.mediaType,
        manifest.artifactType ?? null,
        manifest.subject ?? null,
        Object.keys(manifest.annotations).length === 0 ? null : JSON.stringify(manifest.annotations),
        content,
        content.length,
        actor,
      ],
    );
    if (row === undefined) throw new Error('INSERT … RETURNING answered no row');
    return row.id;
  }

  /** Records what the manifest refers to; `missing` is what a sparse manifest names and the repository lacks. */
  async refer(
    transaction: Transaction,
    manifestId: string,
    { blobIds, childIds }: ResolvedReferences,
    missing: readonly Digest[],
  ): Promise<void> {
    const add = (sql: string, values: readonly string[]) =>
      values.length === 0 ? Promise.resolve([]) : queryRows(transaction, sql, [manifestId, values]);
    const into = (table: string) =>
      `INSERT INTO ${table} SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING`;
    await add(into('manifest_blobs (manifest_id, blob_id)'), [...new Set(blobIds.values())]);
    await add(into('manifest_children (parent_id, child_id)'), [...new Set(childIds.values())]);
    await queryRows(transaction, 'DELETE FROM manifest_missing_references WHERE manifest_id = $1', [
      manifestId,
    ]);
    await add(
      'INSERT INTO manifest_missing_references (manifest_id, digest) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING',
      missing,
    );
  }

  /** Keeps the manifest from being changed or tagged until the transaction ends. */
  async lock(transaction: Transaction, repositoryId: string, digest: Digest): Promise<string | undefined> {
    const sql = 'SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2 FOR UPDATE';
    return (await queryRows<{ id: string }>(transaction, sql, [repositoryId, digest]))[0]?.id;
  }

  /** Deletes a manifest; indexes that list it remember it as missing. Its tags go with it. */
  async delete(transaction: Transaction, manifestId: string, digest: Digest): Promise<void> {
    await queryRows(
      transaction,
      // FOR KEY SHARE: a parent that is being deleted at the same time is waited for, and left out.
      `INSERT INTO manifest_missing_references (manifest_id, digest)
       SELECT id, $2
         FROM (SELECT m.id FROM manifest_children c JOIN manifests m ON m.id = c.parent_id
                WHERE c.child_id = $1 AND c.parent_id <> $1
                ORDER BY m.id
                  FOR KEY SHARE OF m) AS parents
       ON CONFLICT DO NOTHING`,
      [manifestId, digest],
    );
    await queryRows(transaction, 'DELETE FROM manifests WHERE id = $1', [manifestId]);
  }
}

function byDigest(rows: readonly IdRow[]): Map<Digest, string> {
  return new Map(rows.map(({ digest, id }) => [digest, id]));
}
