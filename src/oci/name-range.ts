/** Repository names from `from` (included) to `to` (excluded), in byte order. */
export interface NameRange {
  readonly from: string;
  readonly to: string;
}

/** Greater than every name: `~` follows all characters of names. */
const END = '~';
/** Less than every character of names. */
const LOWEST = '!';

export const EVERY_NAME: NameRange = { from: '', to: END };

/** The range of one name. */
export function onlyName(name: string): NameRange {
  return { from: name, to: `${name}${LOWEST}` };
}

/** The range of all names below `name`, without itself: `a/…` for `a`. */
export function namesBelow(name: string): NameRange {
  // `0` is the character after `/`.
  return { from: `${name}/`, to: `${name}0` };
}

/**
 * The same names in ranges that are sorted and neither overlap nor touch. Names are ASCII, so JavaScript's
 * order of texts is the order of bytes.
 */
export function mergeRanges(ranges: readonly NameRange[]): NameRange[] {
  const merged: NameRange[] = [];
  for (const range of [...ranges].sort((a, b) => compare(a.from, b.from))) {
    const last = merged.at(-1);
    if (last === undefined || range.from > last.to) merged.push(range);
    else if (range.to > last.to) merged[merged.length - 1] = { from: last.from, to: range.to };
  }
  return merged;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
