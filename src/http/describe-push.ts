import { formatBytes, quantity } from '../common/quantity.js';
import type { RequestFacts } from '../observability/request-line.js';
import type { Digest } from '../oci/digest.js';
import type { ParsedManifest } from '../oci/manifest.js';
import { isIndexMediaType } from '../oci/media-types.js';
import type { Reference } from '../oci/reference.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Tag } from '../oci/tag.js';

export interface Push {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** The tags in the query. */
  readonly tags: readonly Tag[];
  readonly digest: Digest;
  readonly manifest: ParsedManifest;
}

/**
 * What the log says of a pushed manifest: `pushed demo/app:1.0 sha256:… 3 layers 24 MB`, or
 * `pushed demo/app@sha256:… 2 manifests as 1.0, latest`.
 */
export function describePush({
  repository,
  reference,
  tags,
  digest,
  manifest,
}: Push): [RequestFacts, string] {
  const name =
    reference.kind === 'tag' ? `${repository}:${reference.tag} ${digest}` : `${repository}@${digest}`;
  const facts = contentOf(manifest);
  const content =
    facts.manifests === undefined
      ? `${quantity(facts.layers ?? 0, 'layer')} ${formatBytes(facts.contentBytes ?? 0)}`
      : quantity(facts.manifests, 'manifest');
  return [facts, `pushed ${name} ${content}${alsoAs(tags)}`];
}

/** A request may have thousands of tags. */
const MAX_TAGS = 10;

function alsoAs(tags: readonly Tag[]): string {
  if (tags.length === 0) return '';
  return ` as ${tags.slice(0, MAX_TAGS).join(', ')}${tags.length > MAX_TAGS ? ', ...' : ''}`;
}

function contentOf({ mediaType, blobs, children }: ParsedManifest): RequestFacts {
  if (isIndexMediaType(mediaType)) return { manifests: children.length };
  const layers = blobs.filter(({ role }) => role === 'layer').length;
  return { layers, contentBytes: blobs.reduce((sum, { size }) => sum + size, 0) };
}
