import { type Digest, parseDigest } from './digest.js';
import { type Tag, parseTag } from './tag.js';

/** What the spec calls `<tag-or-digest>`. */
export type Reference =
  { readonly kind: 'tag'; readonly tag: Tag } | { readonly kind: 'digest'; readonly digest: Digest };

/**
 * Parses `<tag-or-digest>` (distribution-spec, "Pulling manifests"). A tag can't contain a colon, so a text
 * that does was meant to be a digest and is judged as one.
 *
 * @throws DigestInvalidError (400) for a bad digest, TagInvalidError (400) for a bad tag.
 */
export function parseReference(text: string): Reference {
  return text.includes(':')
    ? { kind: 'digest', digest: parseDigest(text) }
    : { kind: 'tag', tag: parseTag(text) };
}

/** The text that {@link parseReference} read. */
export function formatReference(reference: Reference): string {
  return reference.kind === 'digest' ? reference.digest : reference.tag;
}
