import { ParameterInvalidError } from './errors.js';
import { isStorableText } from './text.js';

/**
 * Parses a list's `n` (distribution-spec, "Listing Tags"). `max` bounds it from above: a larger `n` is
 * answered with `max` entries and a Link. 0 is valid and asks for an empty list.
 *
 * @returns undefined when the client gave no `n`.
 * @throws ParameterInvalidError for a negative or non-numeric `n`; the spec has no code of its own for it.
 */
export function parsePageSize(n: string | undefined, max: number): number | undefined {
  if (n === undefined) {
    return undefined;
  }
  if (!/^[0-9]+$/.test(n)) {
    throw new ParameterInvalidError('invalid n: expected a decimal integer, 0 or more');
  }
  return Math.min(Number(n), max);
}

/**
 * Parses a list's `last`: the entry after which to go on, which need not exist. Any text that the database
 * can compare will do; an empty one is before every entry.
 *
 * @throws ParameterInvalidError for a text that holds a NUL or half a surrogate pair.
 */
export function parsePageMarker(last: string | undefined): string | undefined {
  if (last !== undefined && !isStorableText(last)) {
    throw new ParameterInvalidError('invalid last: expected a name');
  }
  return last;
}

/**
 * The `Link` header to the next page (RFC 8288), relative to the host: `<path?n=…&last=…>; rel="next"`.
 *
 * @param path the list's path, which has no query and needs no encoding (names and digests never do).
 * @param last the last entry of this page.
 * @param filters further query parameters that the next page needs, such as `artifactType`.
 */
export function nextLink(
  path: string,
  n: number,
  last: string,
  filters: Record<string, string> = {},
): string {
  const query = new URLSearchParams({ n: String(n), last, ...filters });
  return `<${path}?${query.toString()}>; rel="next"`;
}
