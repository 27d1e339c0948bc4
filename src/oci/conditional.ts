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
 * Whether `If-None-Match` names `etag`, so that a GET or HEAD is answered with 304 (RFC 9110, section
 * 13.1.2). The comparison is the weak one. `*` matches, since the caller has a representation. Clients that
 * send the digest without quotes are understood too. `etag` may have its quotes or not.
 */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  const [own] = parseEntityTags(etag);
  return parseEntityTags(ifNoneMatch ?? '').some(
    (tag) => tag.opaque === own?.opaque || (tag.opaque === '*' && !tag.quoted),
  );
}

/**
 * Whether `If-Range` lets a `Range` apply (RFC 9110, section 13.1.5): true without the header, and when it is
 * the same entity tag by strong comparison. A date never matches, since Berth sends no Last-Modified for
 * content: the whole is served, which is always right.
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
