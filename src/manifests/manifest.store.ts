import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { Digest } from '../oci/digest.js';
import type { ParsedManifest } from '../oci/manifest.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Tag } from '../oci/tag.js';

/** A manifest that was checked, as it is to be stored. */
export interface NewManifest {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly manifest: ParsedManifest;
  readonly content: Buffer;
  /** Tags to point at it. */
  readonly tags: readonly Tag[];
  readonly actor: string | null;
  /** Whether the manifest may refer to content that the repository lacks. */
  readonly acceptsMissing: boolean;
  /** Drops the push as long as it waits for its turn. */
  readonly signal: AbortSignal;
}

/**
 * What a deletion found: `undefined` where there is no such repository, else whether there was something to
 * delete.
 */
export type Deleted = boolean | undefined;

/**
 * Changes of manifests and tags. Each is one statement, a call of a function of the schema
 * (`ManifestFunctions`, among the migrations): a push and its tags happen as a whole, and no lock outlives
 * the statement (docs/adr/0019).
 */
@Injectable()
export class ManifestStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /**
   * Stores a manifest and points its tags at it. Records each tag that moves, in turn with everybody else who
   * moves it.
   *
   * Returns the digests that the manifest refers to and the repository lacks. Unless `acceptsMissing`,
   * nothing was changed where there are any.
   */
  async push(push: NewManifest): Promise<Digest[]> {
    const { repository, digest, manifest, content, tags, actor } = push;
    const [row] = await this.unitOfWork.statement<{ missing: Digest[] }>(
      'SELECT push_manifest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS missing',
      [
        repository,
        digest,
        manifest.mediaType,
        manifest.artifactType ?? null,
        manifest.subject ?? null,
        Object.keys(manifest.annotations).length === 0 ? null : JSON.stringify(manifest.annotations),
        content,
        manifest.blobs.map((blob) => blob.digest),
        manifest.children.map((child) => child.digest),
        push.acceptsMissing,
        tags,
        actor,
      ],
      repository,
      push.signal,
    );
    return row?.missing ?? [];
  }

  /** Deletes a manifest and its tags. Indexes that list it remember it as missing. */
  async delete(repository: RepositoryName, digest: Digest, actor: string | null): Promise<Deleted> {
    return this.deleteBy('SELECT delete_manifest($1, $2, $3) AS deleted', repository, digest, actor);
  }

  /** Deletes a tag alone. */
  async deleteTag(repository: RepositoryName, tag: Tag, actor: string | null): Promise<Deleted> {
    return this.deleteBy('SELECT delete_tag($1, $2, $3) AS deleted', repository, tag, actor);
  }

  private async deleteBy(
    sql: string,
    repository: RepositoryName,
    name: Digest | Tag,
    actor: string | null,
  ): Promise<Deleted> {
    const parameters = [repository, name, actor];
    const [row] = await this.unitOfWork.statement<{ deleted: boolean | null }>(sql, parameters, repository);
    return row?.deleted ?? undefined;
  }
}
