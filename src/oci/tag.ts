import { TagInvalidError } from './errors.js';

declare const brand: unique symbol;

/** A tag: 1 to 128 characters; case matters. */
export type Tag = string & { readonly [brand]: 'Tag' };

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/**
 * Parses a tag (distribution-spec, "Pulling manifests").
 *
 * @throws TagInvalidError. Reads should return 404 MANIFEST_UNKNOWN instead: no such
 *   tag can exist, and the conformance suite of 1.1 expects 404 for `.INVALID_MANIFEST_NAME`.
 */
export function parseTag(text: string): Tag {
  if (!TAG.test(text)) {
    throw new TagInvalidError(
      'invalid tag: expected 1 to 128 of a-z, A-Z, 0-9, "_", "." and "-", not starting with "." or "-"',
      // Shortened: the text can be as long as a request line.
      { detail: { tag: text.slice(0, 128) } },
    );
  }
  return text as Tag;
}
