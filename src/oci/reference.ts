import { type Digest, parseDigest } from './digest.js';
import { DigestInvalidError } from './errors.js';
import { type Tag, parseTag } from './tag.js';

/** The spec's `<tag-or-digest>`. */
export type Reference =
  { readonly kind: 'tag'; readonly tag: Tag } | { readonly kind: 'digest'; readonly digest: Digest };

/** A text of a client can be as long as a request line. Longer than any valid tag or digest. */
const SHOWN_LENGTH = 140;

/**
 * Parses `<tag-or-digest>` (distribution-spec, "Pulling manifests"). A tag cannot contain a colon, so a text
 * with a colon is parsed as a digest.
 *
 * @throws DigestInvalidError for a bad digest, TagInvalidError for a bad tag.
 */
export function parseReference(text: string): Reference {
  if (text.includes('@') && text.includes(':')) {
    const [tag, digest] = text.split('@', 2).map((part) => JSON.stringify(part.slice(0, SHOWN_LENGTH)));
    throw new DigestInvalidError(`expected a tag or a digest, not both: ${tag} or ${digest}`);
  }
  return text.includes(':')
    ? { kind: 'digest', digest: parseDigest(text) }
    : { kind: 'tag', tag: parseTag(text) };
}

/** The inverse of {@link parseReference}. */
export function formatReference(reference: Reference): string {
  return reference.kind === 'digest' ? reference.digest : reference.tag;
}
