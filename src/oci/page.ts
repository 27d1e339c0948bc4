import { ParameterInvalidError } from './errors.js';
import { isStorableText } from './text.js';

/**
 * Parses a list's `n` (distribution-spec, "Listing Tags"). `max` is the limit: a larger `n` returns `max`
 * entries and a Link. 0 is valid and returns an empty list.
 *
 * @returns undefined without `n`, or if it is empty.
 * @throws ParameterInvalidError for a negative or non-numeric `n`.
 */
export function parsePageSize(n: string | undefined, max: number): number | undefined {
  if (n === undefined || n === '') {
    return undefined;
  }
  if (!/^[0-9]+$/.test(n)) {
    throw new ParameterInvalidError('invalid n: expected a decimal integer, 0 or more');
  }
  return Math.min(Number(n), max);
}

/**
 * Parses a list's `last`: the page starts after this entry, which need not exist. It may be any text that the
 * database can compare; the empty text is before every entry.
 *
 * @throws ParameterInvalidError for a text with a NUL or half a surrogate pair.
 */
export function parsePageMarker(last: string | undefined): string | undefined {
  if (last !== undefined && !isStorableText(last)) {
    throw new ParameterInvalidError('invalid last: expected a name');
  }
  return last;
}

/**
 * Parses the `artifactType` by which a list is filtered. Clients send its `+` unencoded, which decodes to a
 * space; a media type has no spaces.
 *
 * @returns undefined without a filter, or if it is empty.
 * @throws ParameterInvalidError for a text with a NUL or half a surrogate pair.
 */
export function parseArtifactTypeFilter(artifactType: string | undefined): string | undefined {
  if (artifactType === undefined || artifactType === '') {
    return undefined;
  }
  if (!isStorableText(artifactType)) {
    throw new ParameterInvalidError('invalid artifactType: expected a media type');
  }
  return artifactType.replaceAll(' ', '+');
}

/**
 * The `Link` header to the next page (RFC 8288), relative to the host: `<path?n=…&last=…>; rel="next"`.
 *
 * @param path the list's path, without a query. Names and digests need no encoding.
 * @param last the last entry of this page.
 * @param filters further query parameters of the next page, like `artifactType`.
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
