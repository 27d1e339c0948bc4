/**
 * Returns only the fields that the `fields` parameter names, as in `items(name,size),nextPageToken`. Without
 * paths and wildcards, which Berth does not use.
 * https://cloud.google.com/storage/docs/json_api#partial-response
 */
export function selected(value: unknown, fields: string): unknown {
  if (Array.isArray(value)) return value.map((item) => selected(item, fields));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(
    [...fields.matchAll(/([^,()]+)(?:\(([^()]*)\))?/g)].flatMap(([, name, inner]) =>
      entries
        .filter(([key]) => key === name)
        .map(([key, field]) => [key, inner === undefined ? field : selected(field, inner)]),
    ),
  );
}
