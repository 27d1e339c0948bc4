/**
 * Which parts of a document are kept. Of a list or an object without further word, only that there is one.
 */
export interface JsonShape {
  /** The members of an object that are kept; see {@link objectOf}. */
  readonly members?: ReadonlyMap<string, JsonShape>;
  /** The keys of `members`, by how they look to a parser that ignores case. */
  readonly folded?: ReadonlyMap<string, string>;
  /** All members of an object are kept, so. */
  readonly everyMember?: JsonShape;
  /** The items of a list. */
  readonly items?: JsonShape;
  /** More items are an error. */
  readonly maxItems?: number;
}

/** An object of which these members are kept. */
export function objectOf(members: Readonly<Record<string, JsonShape>>): JsonShape {
  const entries = Object.entries(members);
  return {
    members: new Map(entries),
    folded: new Map(entries.map(([key]) => [foldCase(key), key])),
  };
}

/** As `strings.EqualFold` of Go has it: `ſ` is an s and the Kelvin sign a k. */
export function foldCase(key: string): string {
  return key.toUpperCase().toLowerCase();
}
