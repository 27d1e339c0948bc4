import { mapBounded } from '../../object-store/bounded.js';

/** https://cloud.google.com/storage/docs/composing-objects */
export const MOST_SOURCES = 32;
const COMPOSITIONS_AT_ONCE = 16;

/** The requests that a composition is made of. */
export interface Composer {
  /** Makes `target` of the sources, without moving their bytes. */
  compose(sources: readonly string[], target: string): Promise<void>;
  /** A name that no object has. */
  newName(): string;
}

/**
 * One object out of any number of others, by a tree of requests that take 32 each:
 *
 *     p1 … p32   p33 … p64   p65 … p70      parts
 *        i1          i2          i3         objects in between
 *                  target
 *
 * 10,000 parts take 313 + 10 + 1 requests. Each of them costs the store the same, whatever the objects' size.
 */
export class GcsComposition {
  /** The objects in between, of no more use afterwards. Those of requests that failed or were given up too. */
  readonly intermediates: string[] = [];

  constructor(private readonly composer: Composer) {}

  /** Answers at most 32 objects that have the bytes of all of them. Rejects once no request is under way any more. */
  async reduce(parts: readonly string[]): Promise<readonly string[]> {
    let level = parts;
    while (level.length > MOST_SOURCES) {
      level = await mapBounded(groupsOf(level), COMPOSITIONS_AT_ONCE, (group) => this.joined(group));
    }
    return level;
  }

  private async joined(group: readonly string[]): Promise<string> {
    const [only] = group;
    if (only !== undefined && group.length === 1) return only;
    const name = this.composer.newName();
    this.intermediates.push(name);
    await this.composer.compose(group, name);
    return name;
  }
}

function groupsOf(names: readonly string[]): (readonly string[])[] {
  const groups: (readonly string[])[] = [];
  for (let at = 0; at < names.length; at += MOST_SOURCES) groups.push(names.slice(at, at + MOST_SOURCES));
  return groups;
}
