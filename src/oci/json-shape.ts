/**
 * The parts of a document to keep. An empty shape keeps a scalar, and of a list or an object only that it
 * exists.
 */
export interface JsonShape {
  /** The members of an object that are kept; see {@link objectOf}. */
  readonly members?: ReadonlyMap<string, JsonShape>;
  /** The keys of `members` by their folded form, as a parser sees them that ignores case. */
  readonly folded?: ReadonlyMap<string, string>;
  /** The shape of every member of an object. */
  readonly everyMember?: JsonShape;
  /** The items of a list. */
  readonly items?: JsonShape;
  /** Gets each item of a list when it ends. The list itself then stays empty. May throw to stop reading. */
  readonly onItem?: (item: unknown, index: number) => void;
}

/** Keeps these members of an object. */
export function objectOf(members: Readonly<Record<string, JsonShape>>): JsonShape {
  const entries = Object.entries(members);
  return {
    members: new Map(entries),
    folded: new Map(entries.map(([key]) => [foldCase(key), key])),
  };
}

/** Folds case as Go's `strings.EqualFold` does: `ſ` equals s, and the Kelvin sign equals k. */
export function foldCase(key: string): string {
  return key.toUpperCase().toLowerCase();
}
