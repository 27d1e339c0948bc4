import { Injectable } from '@nestjs/common';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import type { Digest } from '../oci/digest.js';
import type { Tag } from '../oci/tag.js';

interface TagRow {
  name: Tag;
  digest: Digest;
}

/** The rows of tags, and of the events that say who moved them. */
@Injectable()
export class TagStore {
  /** Points tags at a manifest, in turn with everybody else who moves one of them. Records the moves that change one. */
  async set(
    transaction: Transaction,
    repositoryId: string,
    tags: readonly Tag[],
    manifest: { readonly id: string; readonly digest: Digest },
    actor: string | null,
  ): Promise<void> {
    if (tags.length === 0) return;
    const names = [...new Set(tags)].sort();
    const before = await this.lock(transaction, repositoryId, names);
    const moved = names.filter((name) => before.get(name) !== manifest.digest);
    if (moved.length === 0) return;
    await queryRows(
      transaction,
      `INSERT INTO tags (repository_id, name, manifest_id, updated_by)
       SELECT $1, unnest($2::text[]), $3, $4
       ON CONFLICT (repository_id, name) DO UPDATE
          SET manifest_id = EXCLUDED.manifest_id, updated_at = now(), updated_by = EXCLUDED.updated_by`,
      [repositoryId, moved, manifest.id, actor],
    );
    const from = moved.map((name) => before.get(name) ?? null);
    await this.recordMoves(transaction, repositoryId, moved, from, manifest.digest, actor);
  }

  /** Deletes a tag. Answers whether it was there. */
  async delete(
    transaction: Transaction,
    repositoryId: string,
    tag: Tag,
    actor: string | null,
  ): Promise<boolean> {
    const before = (await this.lock(transaction, repositoryId, [tag])).get(tag);
    if (before === undefined) return false;
    await queryRows(transaction, 'DELETE FROM tags WHERE repository_id = $1 AND name = $2', [
      repositoryId,
      tag,
    ]);
    await this.recordMoves(transaction, repositoryId, [tag], [before], null, actor);
    return true;
  }

  /** Deletes every tag of a manifest that the caller has locked, in turn with everybody else who moves one of them. */
  async deleteAll(
    transaction: Transaction,
    repositoryId: string,
    manifest: { readonly id: string; readonly digest: Digest },
    actor: string | null,
  ): Promise<void> {
    const ofManifest = 'SELECT name FROM tags WHERE manifest_id = $1 ORDER BY name';
    const names = (await queryRows<{ name: Tag }>(transaction, ofManifest, [manifest.id])).map(
      ({ name }) => name,
    );
    if (names.length === 0) return;
    await this.lock(transaction, repositoryId, names);
    // Some may have been moved away before the locks were ours.
    const gone = await queryRows<{ name: Tag }>(
      transaction,
      'DELETE FROM tags WHERE manifest_id = $1 RETURNING name',
      [manifest.id],
    );
    const deleted = gone.map(({ name }) => name).sort();
    const from = deleted.map(() => manifest.digest);
    await this.recordMoves(transaction, repositoryId, deleted, from, null, actor);
  }

  /**
   * What the tags point at, and nobody else moves them until the transaction ends. An advisory lock, since a tag that
   * doesn't exist yet has no row to lock; taken in the order of the names, so that two of them can't deadlock.
   */
  private async lock(
    transaction: Transaction,
    repositoryId: string,
    names: readonly Tag[],
  ): Promise<Map<Tag, Digest>> {
    const lock = `SELECT pg_advisory_xact_lock(hashtextextended($1::text || ':' || name, 1)) FROM unnest($2::text[]) AS name`;
    await queryRows(transaction, lock, [repositoryId, names]);
    const rows = await queryRows<TagRow>(
      transaction,
      // Not a join: for a thousand names the planner would read all manifests.
      `SELECT t.name, (SELECT m.digest FROM manifests m WHERE m.id = t.manifest_id) AS digest
         FROM tags t
        WHERE t.repository_id = $1 AND t.name = ANY($2)`,
      [repositoryId, names],
    );
    return new Map(rows.map(({ name, digest }) => [name, digest]));
  }

  private async recordMoves(
    transaction: Transaction,
    repositoryId: string,
    tags: readonly Tag[],
    from: readonly (Digest | null)[],
    to: Digest | null,
    actor: string | null,
  ): Promise<void> {
    await queryRows(
      transaction,
      `INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
       SELECT $1, tag, from_digest, $4, $5 FROM unnest($2::text[], $3::text[]) AS move (tag, from_digest)`,
      [repositoryId, tags, from, to, actor],
    );
  }
}
