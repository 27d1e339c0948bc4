import { type Digest } from './digest.js';
import { parseHttpDate } from './http-date.js';

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
 * Whether `If-Match` names `etag` (RFC 9110, section 13.1.1), by the strong comparison. `*` matches, because
 * there is a representation.
 */
function matchesStrongly(ifMatch: string, etag: string): boolean {
  const [own] = parseEntityTags(etag);
  return parseEntityTags(ifMatch).some(
    (tag) => (!tag.weak && tag.opaque === own?.opaque) || (tag.opaque === '*' && !tag.quoted),
  );
}

/** What a client may compare. Each validator stands for the same bytes as long as it does not change. */
export interface Validators {
  readonly etag: string;
  /** In seconds since 1970. Undefined if the bytes may have changed although it has not. */
  readonly modifiedAtSeconds: number | undefined;
}

/** Headers of a request. */
interface Conditions {
  readonly 'if-match'?: string | undefined;
  readonly 'if-unmodified-since'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-modified-since'?: string | undefined;
}

/** Whether there is a condition that `preconditionOf` evaluates, other than `If-None-Match`. */
export function hasDateOrMatch(headers: Conditions): boolean {
  const { 'if-modified-since': since, 'if-unmodified-since': unmodified, 'if-match': match } = headers;
  return (since ?? unmodified ?? match) !== undefined;
}

/**
 * Evaluates the conditions of a GET or HEAD in the order of RFC 9110, section 13.2.2: 304 is "not modified",
 * 412 is "failed". An entity tag wins over a date. A date that is malformed is ignored.
 */
export function preconditionOf(
  headers: Conditions,
  { etag, modifiedAtSeconds }: Validators,
): 'met' | 'not modified' | 'failed' {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch !== undefined) {
    if (!matchesStrongly(ifMatch, etag)) return 'failed';
  } else if (isAfter(modifiedAtSeconds, headers['if-unmodified-since']) === true) return 'failed';
  if (ifNoneMatch !== undefined) return matchesEtag(ifNoneMatch, etag) ? 'not modified' : 'met';
  return isAfter(modifiedAtSeconds, headers['if-modified-since']) === false ? 'not modified' : 'met';
}

/** Undefined if there is nothing to compare. */
function isAfter(modifiedAtSeconds: number | undefined, date: string | undefined): boolean | undefined {
  const seconds = date === undefined ? undefined : parseHttpDate(date);
  return seconds === undefined || modifiedAtSeconds === undefined ? undefined : modifiedAtSeconds > seconds;
}

/**
 * Whether `If-Range` lets a `Range` apply (RFC 9110, section 13.1.5): true without the header, or if it is
 * the same entity tag by strong comparison, or exactly the date. Otherwise the client gets the whole blob,
 * which is always correct.
 */
export function allowsRange(ifRange: string | undefined, { etag, modifiedAtSeconds }: Validators): boolean {
  if (ifRange === undefined) return true;
  const seconds = parseHttpDate(ifRange);
  if (seconds !== undefined) return seconds === modifiedAtSeconds;
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
