/** What a request may ask for with `Prefer`. docs/api.md describes them. */
export type Preference = 'upload-progress' | 'upload-takeover';

/**
 * Returns the names in a `Prefer` header, in lower case (RFC 7240): of preferences without a value, which
 * `name=""` has not either. Ignores parameters, and whatever is malformed, because a preference may always be
 * ignored.
 *
 * @param header several headers joined with commas, as Node gives them.
 */
export function parsePreferences(header: string): ReadonlySet<string> {
  const names = new Set<string>();
  // Commas in a quoted value separate nothing.
  for (const [element] of header.matchAll(/(?:[^",]|"(?:[^"\\]|\\.)*"?)+/g)) {
    const [preference = ''] = element.split(';', 1);
    const [name = '', value = ''] = preference.split('=', 2).map((part) => part.trim());
    if (value === '' || value === '""') names.add(name.toLowerCase());
  }
  return names;
}

/** Whether a request asks for `preference`. */
export function prefers(
  { headers }: { readonly headers: NodeJS.Dict<string | string[]> },
  preference: Preference,
): boolean {
  const { prefer } = headers;
  return typeof prefer === 'string' && parsePreferences(prefer).has(preference);
}
