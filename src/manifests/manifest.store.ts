import { Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../audit/audit-event.js';
import { auditParameters, fromOrigin } from '../audit/audit-insertion.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { Client } from '../events/events.js';
import { CallOnce } from '../idempotency/call-once.js';
import type { RequestKey } from '../idempotency/request-key.js';
import type { Digest } from '../oci/digest.js';
import type { Descriptor } from '../oci/descriptor.js';
import type { ParsedManifest } from '../oci/manifest.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Tag } from '../oci/tag.js';
import { nextTurn } from '../oci/time-slices.js';

/** A validated manifest to store. */
export interface NewManifest {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly manifest: ParsedManifest;
  readonly content: Buffer;
  /** Tags to set to it. */
  readonly tags: readonly Tag[];
  readonly client: Client;
  /** Whether the manifest may refer to content that the repository lacks. */
  readonly acceptsMissing: boolean;
  /** Drops the push if it still waits for a connection. */
  readonly signal: AbortSignal;
  readonly requestKey?: RequestKey | undefined;
}

/** The steps of a push of a larger manifest take turns with other requests. */
const LARGE_BYTES = 1024 * 1024;

/** The result of deleting a tag or a manifest. */
export interface Deletion {
  /** Undefined if the repository does not exist. */
  readonly deleted: boolean | undefined;
  /** The digest of an index that lists the manifest, which is then not deleted. */
  readonly listedBy: Digest | undefined;
}

/**
 * Lists of digests are texts: `pg` escapes and parses each item of an array, which is slow for 100,000 items.
 */
const PUT_MANIFEST = new CallOnce(
  `
  SELECT array_to_string(
           put_manifest($1, $2, $3, $4, $5, $6, $7, string_to_array($8, ' '), string_to_array($9, ' '),
                        $10, $11, $12), ' ') AS missing
    FROM set_config('berth.client_address', coalesce($13, ''), true)`,
  'put_manifest',
  13,
);
/** OFFSET 0 keeps the call in the subquery, after the settings. A join could be in any order. */
const DELETE_MANIFEST = new CallOnce(
  `
  SELECT (result).deleted, (result).listed_by AS "listedBy"
    FROM (SELECT soft_delete_manifest($1, $2, $3) AS result ${fromOrigin(4)} OFFSET 0) AS call`,
  'soft_delete_manifest',
  6,
);
const DELETE_TAG = new CallOnce(
  `SELECT delete_tag($1, $2, $3) AS deleted, NULL AS "listedBy" ${fromOrigin(4)}`,
  'delete_tag',
  6,
);

/**
 * Writes manifests and tags. Each write is one statement, which calls a function of the schema (migrations
 * `RevivingPushes` and `SoftDeletions`). So a push and its tags are atomic, and locks end with the
 * statement (docs/adr/0019). A repeat of a request with a key changes nothing, and has the result of its
 * success (docs/adr/0037).
 */
@Injectable()
export class ManifestStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /**
   * Stores a manifest and sets its tags. Records an event for each tag that moves.
   *
   * Returns the digests that the manifest refers to and the repository lacks. If there are any, nothing was
   * changed, unless `acceptsMissing`.
   */
  async push(push: NewManifest): Promise<Digest[]> {
    const { repository, digest, manifest, content, tags, client } = push;
    const [blobs, children] = [joined(manifest.blobs), joined(manifest.children)];
    // `pg` copies the parameters in one step.
    if (content.length > LARGE_BYTES) await nextTurn();
    const call = PUT_MANIFEST.with(
      [
        repository,
        digest,
        manifest.mediaType,
        manifest.artifactType ?? null,
        manifest.subject ?? null,
        Object.keys(manifest.annotations).length === 0 ? null : JSON.stringify(manifest.annotations),
        content,
        blobs,
        children,
        push.acceptsMissing,
        tags,
        client.actor,
        client.clientAddress,
      ],
      push.requestKey,
    );
    const [row] = await this.unitOfWork.statement<{ missing: string }>(...call, [repository], push.signal);
    return row?.missing ? (row.missing.split(' ') as Digest[]) : [];
  }

  /**
   * Deletes a manifest and its tags, and records that in the audit log, unless a live index lists it. The
   * deletion can be undone.
   */
  async delete(
    repository: RepositoryName,
    digest: Digest,
    client: AuditOrigin,
    requestKey?: RequestKey,
  ): Promise<Deletion> {
    return this.deleteBy(DELETE_MANIFEST, repository, digest, client, requestKey);
  }

  /** Deletes a tag, and records that in the audit log. The deletion can be undone. */
  async deleteTag(
    repository: RepositoryName,
    tag: Tag,
    client: AuditOrigin,
    requestKey?: RequestKey,
  ): Promise<Deletion> {
    return this.deleteBy(DELETE_TAG, repository, tag, client, requestKey);
  }

  private async deleteBy(
    call: CallOnce,
    repository: RepositoryName,
    name: Digest | Tag,
    client: AuditOrigin,
    requestKey: RequestKey | undefined,
  ): Promise<Deletion> {
    type Row = { deleted: boolean | null; listedBy: Digest | null };
    const statement = call.with([repository, name, ...auditParameters(client)], requestKey);
    const [row] = await this.unitOfWork.statement<Row>(...statement, [repository]);
    return { deleted: row?.deleted ?? undefined, listedBy: row?.listedBy ?? undefined };
  }
}

function joined(descriptors: readonly Descriptor[]): string {
  return descriptors.map(({ digest }) => digest).join(' ');
}
