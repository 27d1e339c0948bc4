import { type Digest } from './digest.js';

// One entity tag of a list, quoted or bare, after the separators before it. No two parts can match the same
// character, so a hostile header is read in linear time.
const ENTITY_TAG = /[\s,]*(W\/)?(?:"([^"]*)"|([^\s,"]+))/gy;

interface EntityTag {
  readonly weak: boolean;
  readonly quoted: boolean;
  readonly opaque: string;
}

/** The strong entity tag of content: its digest, in quotes (RFC 9110, section 8.8.3). */
export function formatEtag(digest: Digest): string {
  return `"${digest}"`;
}

/**
 * Whether `If-None-Match` names `etag`, so that a GET or HEAD gets a 304 (RFC 9110, section 13.1.2). Uses the
 * weak comparison. `*` matches, because the caller has a representation. Digests without quotes are accepted,
 * in `etag` too.
 */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  const [own] = parseEntityTags(etag);
  return parseEntityTags(ifNoneMatch ?? '').some(
    (tag) => tag.opaque === own?.opaque || (tag.opaque === '*' && !tag.quoted),
  );
}

/**
 * Whether `If-Range` lets a `Range` apply (RFC 9110, section 13.1.5): true without the header, or if it is
 * the same entity tag by strong comparison. A date never matches, because Berth sends no Last-Modified for
 * content: the client then gets the whole blob, which is always correct.
 */
export function allowsRange(ifRange: string | undefined, etag: string): boolean {
  if (ifRange === undefined) {
    return true;
  }
  const [own] = parseEntityTags(etag);
  const [tag, ...others] = parseEntityTags(ifRange);
  return tag !== undefined && others.length === 0 && !tag.weak && tag.opaque === own?.opaque;
}

/** Parses a list of entity tags up to the first invalid one. */
function parseEntityTags(text: string): EntityTag[] {
  return Array.from(text.matchAll(ENTITY_TAG), ([, weak, quoted, bare]) => ({
    weak: weak !== undefined,
    quoted: quoted !== undefined,
    opaque: quoted ?? bare ?? '',
  }));
}
